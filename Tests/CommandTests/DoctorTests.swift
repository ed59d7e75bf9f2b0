import Apus
import ApusOpenCL
import Foundation
import Testing

/// The doctor in surroundings made for it.
@Suite struct DoctorTests {
  /// A machine in order: one driver, one device, a cache that can be written.
  private func healthy(_ folder: Folder) throws -> Doctor.Surroundings {
    var made = Doctor.Surroundings()
    made.root = folder.url.path
    made.environment = ["APUS_CACHE": folder.path("cache")]
    made.processors = 8
    made.usableProcessors = 8
    made.loadFailure = { _ in nil }
    made.isAccessible = { _ in true }
    made.platforms = {
      [platform("Portable Computing Language", [device(0, "pthread-cpu", "AuthenticAMD")])]
    }
    made.tryDevice = { _ in }
    try folder.write("libpocl.so.2\n", "etc/OpenCL/vendors/pocl.icd")
    return made
  }

  private func problems(_ surroundings: Doctor.Surroundings) -> [Doctor.Finding] {
    Doctor(surroundings).examine().filter { $0.level == .problem }
  }

  @Test func nothingIsWrong() throws {
    let folder = try Folder()
    let findings = Doctor(try healthy(folder)).examine()
    #expect(findings.allSatisfy { $0.level == .ok && $0.remedy == nil })
    #expect(
      Set(findings.map(\.subject)).isSuperset(
        of: ["OpenCL drivers", "opencl:0", "settings", "processor", "cache"]))
  }

  @Test func drivers() throws {
    let folder = try Folder()
    var surroundings = try healthy(folder)
    surroundings.loadFailure = { "\($0): libLLVM.so: cannot open shared object file" }
    let unloadable = problems(surroundings)
    #expect(unloadable.count == 1 && unloadable[0].message.contains("libLLVM.so"))
    #expect(unloadable[0].remedy?.contains("ldd libpocl.so.2") == true)

    try FileManager.default.removeItem(atPath: folder.path("etc/OpenCL/vendors/pocl.icd"))
    surroundings.platforms = { throw ApusError(.device, operation: "opencl", "no platform found") }
    let none = problems(surroundings)
    #expect(none.map(\.subject) == ["OpenCL drivers", "OpenCL platforms"])
    #expect(none[0].remedy?.contains("pocl-opencl-icd") == true)

    surroundings = try healthy(folder)
    surroundings.environment["OCL_ICD_VENDORS"] = "/nowhere"
    let hidden = problems(surroundings)
    #expect(hidden.map(\.remedy) == ["unset OCL_ICD_VENDORS"])
    // One file of the usual folder by its name.
    surroundings.environment["OCL_ICD_VENDORS"] = "pocl.icd"
    #expect(problems(surroundings).isEmpty)
  }

  @Test func devices() throws {
    let folder = try Folder()
    var surroundings = try healthy(folder)
    surroundings.tryDevice = { _ in throw ApusError(.device, operation: "opencl", "does not build")
    }
    let broken = problems(surroundings)
    #expect(broken.map(\.subject) == ["opencl:0"] && broken[0].message.contains("does not build"))
    #expect(broken[0].remedy == "apus selftest --device opencl:0")
    surroundings.platforms = { [platform("Clover", [])] }
    #expect(problems(surroundings).map(\.subject) == ["OpenCL platforms"])
    surroundings.platforms = { [platform("rusticl", [])] }
    let findings = Doctor(surroundings).examine()
    #expect(
      findings.contains { $0.remedy?.contains("RUSTICL_ENABLE") == true && $0.level == .note })
  }

  @Test func rightsAndCards() throws {
    let folder = try Folder()
    var surroundings = try healthy(folder)
    try folder.write("", "dev/dri/renderD128")
    try folder.write("0x030000\n", "sys/bus/pci/devices/0000:01:00.0/class")
    try folder.write("0x10de\n", "sys/bus/pci/devices/0000:01:00.0/vendor")
    // A network card and a display of no vendor we know.
    try folder.write("0x020000\n", "sys/bus/pci/devices/0000:02:00.0/class")
    try folder.write("0x10de\n", "sys/bus/pci/devices/0000:02:00.0/vendor")
    try folder.write("0x030000\n", "sys/bus/pci/devices/0000:03:00.0/class")
    try folder.write("0x1234\n", "sys/bus/pci/devices/0000:03:00.0/vendor")
    surroundings.isAccessible = { !$0.hasSuffix("renderD128") }
    let found = problems(surroundings)
    #expect(found.map(\.subject) == ["permissions", "graphics card"])
    #expect(found[0].remedy?.contains("usermod -aG") == true)
    #expect(found[1].message.contains("NVIDIA"))
    surroundings.isAccessible = { _ in true }
    surroundings.platforms = {
      [platform("NVIDIA CUDA", [device(0, "NVIDIA H100", "NVIDIA Corporation")])]
    }
    #expect(problems(surroundings).isEmpty)
  }

  @Test(arguments: [
    ("OPENBLAS_CORETYPE", "Haswell"), ("OPENBLAS_L2_SIZE", "256"), ("OMP_NUM_THREADS", "1"),
    ("OPENBLAS_NUM_THREADS", "2"), ("POCL_MAX_PTHREAD_COUNT", "1"), ("APUS_NUM_THREADS", "x"),
  ])
  func settings(name: String, value: String) throws {
    let folder = try Folder()
    var surroundings = try healthy(folder)
    surroundings.environment[name] = value
    let found = problems(surroundings)
    #expect(found.map(\.subject) == ["setting \(name)"] && found[0].remedy == "unset \(name)")
    #expect(found[0].message.contains("'\(value)'") || found[0].message.contains("is \(value)"))
    // As many threads as processors limit nothing.
    if Int(value) != nil, name.hasSuffix("THREADS") || name.hasSuffix("COUNT") {
      surroundings.environment[name] = "8"
      #expect(problems(surroundings).isEmpty)
    }
  }

  @Test func processors() throws {
    let folder = try Folder()
    var surroundings = try healthy(folder)
    surroundings.usableProcessors = 3
    #expect(problems(surroundings).map(\.subject) == ["processor"])
    surroundings.usableProcessors = 8
    try folder.write("250000 100000\n", "sys/fs/cgroup/cpu.max")
    let limited = problems(surroundings)
    #expect(limited.map(\.remedy) == ["export APUS_NUM_THREADS=2"])
    try folder.write("max 100000\n", "sys/fs/cgroup/cpu.max")
    #expect(problems(surroundings).isEmpty)
  }

  @Test func cache() throws {
    let folder = try Folder()
    let surroundings = try healthy(folder)
    let cache = ProgramCache(environment: surroundings.environment)
    cache.store(key: "aa", binary: [1, 2, 3])
    cache.store(key: "bb", binary: [4, 5, 6])
    #expect(problems(surroundings).isEmpty)
    var bytes = [UInt8](try folder.bytes("cache/programs/bb.bin"))
    bytes[bytes.count - 1] ^= 1
    try folder.write(Data(bytes), "cache/programs/bb.bin")
    let damaged = problems(surroundings)
    #expect(damaged.count == 1 && damaged[0].message.contains("1 of 2"))
    #expect(damaged[0].message.contains("bb.bin") && damaged[0].remedy?.hasPrefix("rm -r") == true)
  }

  @Test func tuningFiles() throws {
    let folder = try Folder()
    let surroundings = try healthy(folder)
    try folder.write("# a device\ngemm 1 2 3 = 4 #0\n", "cache/tuning/ab.txt")
    let damaged = problems(surroundings)
    #expect(damaged.count == 1 && damaged[0].message.contains("1 lines of"))
    let path = folder.path("cache/tuning/ab.txt")
    try FileManager.default.removeItem(atPath: path)
    #expect(problems(surroundings).isEmpty)
    try #require(symlink(path, path) == 0)
    let unreadable = problems(surroundings)
    #expect(unreadable.count == 1 && unreadable[0].message.contains("\(path) cannot be read"))
    #expect(unreadable[0].remedy?.contains(path) == true)
  }

  @Test func cacheThatCannotBeWritten() throws {
    let folder = try Folder()
    var surroundings = try healthy(folder)
    try folder.write("no folder", "file")
    surroundings.environment["APUS_CACHE"] = folder.path("file")
    #expect(problems(surroundings).map(\.subject) == ["cache"])
  }

  @Test func command() async throws {
    struct Report: Decodable {
      struct Finding: Decodable { let subject, level, message: String }
      let healthy: Bool
      let findings: [Finding]
    }
    let folder = try Folder()
    let run = try await apus(
      "doctor --json", in: folder, environment: ["OPENBLAS_CORETYPE": "Haswell"])
    let report = try JSONDecoder().decode(Report.self, from: Data(run.output.utf8))
    #expect(run.code == 1 && !report.healthy)
    #expect(
      report.findings.contains {
        $0.subject == "setting OPENBLAS_CORETYPE" && $0.level == "problem"
      })
    let text = try await apus("doctor", in: folder, environment: ["OPENBLAS_CORETYPE": "Haswell"])
    #expect(text.code == 1 && text.output.contains("mend it: unset OPENBLAS_CORETYPE"))
  }
}

private func platform(_ name: String, _ devices: [OpenCLPlatform.Device]) -> OpenCLPlatform {
  OpenCLPlatform(name: name, version: "OpenCL 3.0", devices: devices)
}

private func device(_ index: Int, _ name: String, _ vendor: String) -> OpenCLPlatform.Device {
  OpenCLPlatform.Device(index: index, name: name, vendor: vendor, driverVersion: "1")
}
