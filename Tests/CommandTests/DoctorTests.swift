import Apus
import Foundation
import Testing

/// The doctor in surroundings made for it.
@Suite struct DoctorTests {
  @Test func nothingIsWrong() throws {
    let folder = try Folder()
    let findings = Doctor(try healthy(in: folder)).examine()
    #expect(findings.allSatisfy { $0.level == .ok && $0.remedy == nil })
    #expect(
      Set(findings.map(\.subject)).isSuperset(
        of: ["OpenCL drivers", "opencl:0", "settings", "processor", "cache"]))
  }

  @Test func rightsAndCards() throws {
    let folder = try Folder()
    var surroundings = try healthy(in: folder)
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

  @Test func unknownKind() throws {
    let folder = try Folder()
    var surroundings = try healthy(in: folder)
    surroundings.environment["APUS_OPENCL_KIND"] = "gpu"
    #expect(problems(surroundings).isEmpty)
    surroundings.environment["APUS_OPENCL_KIND"] = "foo"
    surroundings.tryDevice = { _ in throw ApusError(.device, operation: "opencl", "is 'foo'") }
    let found = problems(surroundings)
    #expect(Set(found.map(\.subject)) == ["opencl:0", "setting APUS_OPENCL_KIND"])
    #expect(Set(found.map(\.remedy)) == ["unset APUS_OPENCL_KIND"])
  }

  @Test(arguments: [
    ("OPENBLAS_CORETYPE", "Haswell"), ("OPENBLAS_L2_SIZE", "256"), ("OMP_NUM_THREADS", "1"),
    ("OPENBLAS_NUM_THREADS", "2"), ("POCL_MAX_PTHREAD_COUNT", "1"), ("APUS_NUM_THREADS", "x"),
  ])
  func settings(name: String, value: String) throws {
    let folder = try Folder()
    var surroundings = try healthy(in: folder)
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
    var surroundings = try healthy(in: folder)
    surroundings.usableProcessors = 3
    let confined = problems(surroundings)
    #expect(confined.count == 1 && confined[0].message.contains("confined to 3 of 8"))
    #expect(confined[0].remedy?.hasPrefix("taskset -cp 0-7 $$") == true)
    // As many threads as there are processors for them.
    surroundings.environment["APUS_NUM_THREADS"] = "3"
    #expect(problems(surroundings).map(\.subject) == ["processor"])
    surroundings.environment["APUS_NUM_THREADS"] = nil
    // What the container gives is all that can be had.
    try folder.write("0-1,5\n", "sys/fs/cgroup/cpuset.cpus.effective")
    #expect(problems(surroundings).isEmpty)
    #expect(
      Doctor(surroundings).examine().contains {
        $0.level == .note && $0.message.contains("3 of 8 processors")
      })
    surroundings.usableProcessors = 8
    try folder.write("250000 100000\n", "sys/fs/cgroup/cpu.max")
    let limited = problems(surroundings)
    #expect(limited.map(\.remedy) == ["export APUS_NUM_THREADS=2"])
    surroundings.environment["APUS_NUM_THREADS"] = "2"
    #expect(problems(surroundings).isEmpty)
    surroundings.environment["APUS_NUM_THREADS"] = nil
    try folder.write("max 100000\n", "sys/fs/cgroup/cpu.max")
    #expect(problems(surroundings).isEmpty)
  }

  @Test(
    .enabled(
      if: Doctor.Surroundings().processors > 1
        && FileManager.default.isExecutableFile(atPath: "/usr/bin/taskset")))
  func affinity() async throws {
    // One processor of those that this process may use, whichever that is.
    let list = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
      .split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") }
    let first = try #require(list?.dropFirst(18).split { !$0.isNumber }.first)
    let folder = try Folder()
    let run = try await ApusProcess(
      ["-c", String(first), ApusProcess.program.path, "doctor"], in: folder,
      environment: ["APUS_NUM_THREADS": "1", "APUS_CACHE": folder.path("cache")],
      program: "/usr/bin/taskset"
    ).ended()
    #expect(run.output.contains(" 1 of ") && !run.output.contains("setting APUS_NUM_THREADS"))
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
