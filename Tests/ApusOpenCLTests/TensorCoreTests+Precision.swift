import ApusDevice
import ApusOpenCL
import ApusReference
import Foundation
import Testing

extension TensorCoreTests {
  /// Who grants a precision, who refuses it, and what a tuner makes of it.
  @Suite(.serialized) struct Precision {
    private func refusal(_ device: any Backend) -> ApusError? {
      let before = device.matrixPrecision
      let error = #expect(throws: ApusError.self) { try device.setMatrixPrecision(.tf32) }
      #expect(device.matrixPrecision == before)
      #expect(throws: Never.self) { try device.setMatrixPrecision(.float32) }
      return error
    }

    /// No device here has tensor cores; each says what it lacks and what helps.
    @Test func devicesWithoutRefuse() throws {
      let cases: [(any Backend, String)] = [
        (ReferenceBackend(), "inline PTX"),
        (StrictBackend(ReferenceBackend()), "compute capability 8.0"),
        (try OpenCLBackend(kind: .cpu, tensorCores: .own), "kernels of processors"),
        (try OpenCLBackend(kind: .cpu, tensorCores: .emulated), "kernels of processors"),
      ]
      for (device, fragment) in cases {
        let error = try #require(refusal(device))
        #expect(error.kind == .device && error.message.contains("'\(device.info.name)'"))
        #expect(error.message.contains(fragment) && error.message.contains("tf32"))
        #expect(error.message.contains("--precision float32"))
      }
      let gpu = try OpenCLBackend(kind: .gpu, tensorCores: .own)
      if !gpu.description.hasInlinePTX {
        #expect(refusal(gpu)?.message.contains("compiles no inline PTX") == true)
      }
    }

    /// Kernels that the driver refuses, and a driver that fails, are no reason to compute otherwise.
    @Test func driversThatFailRefuse() throws {
      let device = try OpenCLBackend(kind: .gpu, tensorCores: .assumed)
      if !device.description.hasInlinePTX {
        #expect(refusal(device)?.message.contains("does not compile or run") == true)
      }
      let failing = try OpenCLBackend(kind: .gpu, tensorCores: .emulated)
      failing.injectFailure()
      #expect(refusal(failing)?.message.contains("does not compile or run") == true)
    }

    /// The proof tells the precisions apart, and finds one wrong element.
    @Test func proofFindsWhatIsWrong() throws {
      let device = try OpenCLBackend(kind: .gpu, tensorCores: .emulated)
      for proof in ProductProof.all {
        let results = try MatrixPrecision.allCases.map { ($0, try proof.result($0, on: device)) }
        for (precision, result) in results {
          for other in MatrixPrecision.allCases {
            #expect((proof.problem(with: result, other) == nil) == (precision == other))
          }
          for wrong in [Float.nan, 0, result[result.count - 1] * 1.01] {
            var damaged = result
            damaged[damaged.count - 1] = wrong
            #expect(proof.problem(with: damaged, precision) != nil)
          }
        }
      }
    }

    /// A device, a proof that operations stay on it, and what users hold.
    @Test func wrappersHandOn() throws {
      let backend = try OpenCLBackend(kind: .gpu, tensorCores: .emulated)
      let device = Device(StrictBackend(backend))
      try device.setMatrixPrecision(.bfloat16)
      #expect(device.matrixPrecision == .bfloat16 && backend.matrixPrecision == .bfloat16)
      try device.setMatrixPrecision(.float32)
      #expect(backend.matrixPrecision == .float32)
    }

    /// Choices of a precision are its own, and compute right; nonsense changes nothing.
    @Test func tunerKeepsThemApart() throws {
      let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
        "apus-precision-\(UUID().uuidString)"
      ).path
      defer { try? FileManager.default.removeItem(atPath: folder) }
      let device = try OpenCLBackend(kind: .gpu, cacheFolder: folder, tensorCores: .emulated)
      let tuner = Tuner(device, oracle: ReferenceBackend())
      let jobs = [
        TuningJob.product(37, 51, 300), .layer(rows: 64, outputs: 96, inputs: 128),
        .gradient(rows: 517, outputs: 19, inputs: 130),
      ]
      let nonsense = [[0], [0, 7, 7, 32, 16, 1], [0, 128, 0, 0, 0, 99], [0, 64, 0, 0, 0, -1]]
      let own = try OpenCLBackend(kind: .gpu, cacheFolder: folder, tensorCores: .own)
      #expect(own.tuning.path != device.tuning.path)
      var keys: Set<TuningKey> = []
      for precision in MatrixPrecision.allCases {
        try device.setMatrixPrecision(precision)
        for job in jobs {
          let found = try tuner.choices(of: job)
          for (key, choices) in found {
            #expect(keys.insert(key).inserted && !choices.isEmpty)
            for numbers in nonsense {
              device.tuning.adopt(key, numbers)
              #expect(try tuner.computesRight(job), "\(job) by \(numbers)")
            }
            device.tuning.adopt(key, nil)
          }
          #expect(try tuner.check(job).wrong == [], "\(job) in \(precision)")
        }
      }
      #expect(keys.count == 3 * jobs.count)
      try device.setMatrixPrecision(.tf32)
      let outcome = try #require(try tuner.tune(jobs[0], seconds: 0.5).first)
      #expect(outcome.operation == "gemm-tf32" && outcome.rejected == 0)
    }
  }
}
