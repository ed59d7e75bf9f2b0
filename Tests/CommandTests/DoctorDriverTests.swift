import Apus
import ApusOpenCL
import Foundation
import Testing

/// What the doctor says of drivers and platforms.
@Suite struct DoctorDriverTests {
  @Test func drivers() throws {
    let folder = try Folder()
    var surroundings = try healthy(in: folder)
    surroundings.loadFailure = { "\($0): libLLVM.so: cannot open shared object file" }
    let unloadable = problems(surroundings)
    #expect(unloadable.count == 1 && unloadable[0].message.contains("libLLVM.so"))
    #expect(
      unloadable[0].remedy?.hasPrefix("ldd $(ldconfig -p | grep -m1 -F 'libpocl.so.2 '") == true)

    try FileManager.default.removeItem(atPath: folder.path("etc/OpenCL/vendors/pocl.icd"))
    surroundings.platforms = { throw ApusError(.device, operation: "opencl", "no platform found") }
    let none = problems(surroundings)
    #expect(none.map(\.subject) == ["OpenCL drivers", "OpenCL platforms"])
    #expect(none[0].remedy?.contains("pocl-opencl-icd") == true && none[1].remedy == none[0].remedy)

    surroundings = try healthy(in: folder)
    surroundings.environment["OCL_ICD_VENDORS"] = "/nowhere"
    let hidden = problems(surroundings)
    #expect(hidden.map(\.remedy) == ["unset OCL_ICD_VENDORS"])
    // One file of the usual folder by its name.
    surroundings.environment["OCL_ICD_VENDORS"] = "pocl.icd"
    #expect(problems(surroundings).isEmpty)
  }

  @Test func devices() throws {
    let folder = try Folder()
    var surroundings = try healthy(in: folder)
    surroundings.tryDevice = { _ in throw ApusError(.device, operation: "opencl", "does not build")
    }
    let broken = problems(surroundings)
    #expect(broken.map(\.subject) == ["opencl:0"] && broken[0].message.contains("does not build"))
    #expect(broken[0].remedy == "apus selftest --device opencl:0")
    surroundings.platforms = { [platform("Clover", [])] }
    let idle = problems(surroundings)
    #expect(idle.map(\.subject) == ["OpenCL platforms"] && idle[0].remedy != nil)
    surroundings.tryDevice = { _ in }
    surroundings.platforms = { [platform("Clover", []), platform("A", [device(0, "b", "c")])] }
    #expect(problems(surroundings).isEmpty)
    surroundings.platforms = { [platform("rusticl", [])] }
    let findings = Doctor(surroundings).examine()
    #expect(
      findings.contains { $0.remedy?.contains("RUSTICL_ENABLE") == true && $0.level == .note })
  }

  @Test(arguments: ["foo", ""])
  func hiddenDevices(value: String) throws {
    let folder = try Folder()
    var surroundings = try healthy(in: folder)
    surroundings.platforms = { [platform("Portable Computing Language", [])] }
    let broken = problems(surroundings)
    #expect(broken.count == 1 && broken[0].remedy?.contains("--reinstall pocl-opencl-icd") == true)
    surroundings.environment["POCL_DEVICES"] = value
    #expect(problems(surroundings).map(\.remedy) == ["unset POCL_DEVICES"])
  }

  @Test(arguments: [
    ("libnvidia-opencl.so.1", "nvidia-opencl-icd"), ("libpocl.so.9", "pocl-opencl-icd"),
    ("libMesaOpenCL.so.1", "mesa-opencl-icd"), ("libRusticlOpenCL.so.1", "mesa-opencl-icd"),
    ("/usr/lib/intel-opencl/libigdrcl.so", "intel-opencl-icd"),
    ("/opt/intel/libintelocl.so", "intel-opencl-rt"), ("libamdocl64.so", "rocm-opencl-icd"),
    ("libnobody.so", "sudo rm -r '/etc/OpenCL/vendors/some.icd'"),
  ])
  func missingLibrary(library: String, remedy: String) throws {
    let folder = try Folder()
    var surroundings = try healthy(in: folder)
    try folder.write(library + "\n", "etc/OpenCL/vendors/some.icd")
    surroundings.loadFailure = { name in
      name == library ? "\(name): cannot open shared object file: No such file or directory" : nil
    }
    let found = problems(surroundings)
    #expect(found.count == 1 && found[0].message.contains("some.icd"))
    #expect(found[0].remedy?.contains(remedy) == true)
  }

  @Test func foreignLibrary() throws {
    let folder = try Folder()
    var surroundings = try healthy(in: folder)
    surroundings.loadFailure = Doctor.Surroundings().loadFailure
    surroundings.isDriver = Doctor.Surroundings().isDriver
    // A library of the C library's is everywhere; the loader itself is no driver either.
    for library in ["libm.so.6", "libOpenCL.so.1"] {
      try folder.write(library + "\n", "etc/OpenCL/vendors/pocl.icd")
      try folder.write(library + "\n", "etc/OpenCL/vendors/foreign.icd")
      let found = problems(surroundings)
      #expect(found.count == 2 && found.allSatisfy { $0.message.contains("is no OpenCL driver") })
      #expect(found[0].remedy == "sudo rm -r '/etc/OpenCL/vendors/foreign.icd'")
      #expect(found[1].remedy?.contains("force-confmiss pocl-opencl-icd") == true)
    }
    // Where it is the only one, the same remedy and no other.
    try FileManager.default.removeItem(atPath: folder.path("etc/OpenCL/vendors/pocl.icd"))
    surroundings.platforms = { throw ApusError(.device, operation: "opencl", "no platform found") }
    let alone = problems(surroundings)
    #expect(alone.count == 2 && Set(alone.map(\.remedy)).count == 1)
    // Named by a variable rather than a file.
    surroundings.environment["OCL_ICD_FILENAMES"] = "libm.so.6"
    #expect(problems(surroundings)[0].remedy == "unset OCL_ICD_FILENAMES")
  }

  @Test func emptyFolder() throws {
    let folder = try Folder()
    var surroundings = try healthy(in: folder)
    surroundings.platforms = { throw ApusError(.device, operation: "opencl", "no platform found") }
    surroundings.environment["OCL_ICD_VENDORS"] = "/empty"
    try FileManager.default.createDirectory(
      atPath: folder.path("empty"), withIntermediateDirectories: true)
    #expect(Set(problems(surroundings).map(\.remedy)) == ["unset OCL_ICD_VENDORS"])
  }

  @Test func filesThatNameNothing() throws {
    let folder = try Folder()
    var surroundings = try healthy(in: folder)
    let vendors = "etc/OpenCL/vendors"
    try folder.write("\n", "\(vendors)/a b.icd")
    try folder.write("", "\(vendors)/pocl.icd")
    try FileManager.default.createDirectory(
      atPath: folder.path("\(vendors)/c.icd"), withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(
      atPath: folder.path("\(vendors)/d.icd"), withDestinationPath: "nowhere")
    let found = problems(surroundings)
    #expect(found.count == 4)
    #expect(found[0].remedy == "sudo rm -r '/etc/OpenCL/vendors/a b.icd'")
    #expect(found[1].message.contains("directory") && found[1].remedy?.hasSuffix("c.icd'") == true)
    #expect(found[2].message.contains("link") && found[2].remedy?.hasSuffix("d.icd'") == true)
    #expect(found[3].remedy?.hasPrefix("sudo rm -r '/etc/OpenCL/vendors/pocl.icd' && sudo") == true)
    surroundings.isReadable = { !$0.hasSuffix("pocl.icd") }
    #expect(problems(surroundings).last?.remedy == "sudo chmod a+r '/etc/OpenCL/vendors/pocl.icd'")
  }
}
