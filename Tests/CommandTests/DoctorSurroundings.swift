import Apus
import ApusOpenCL
import Foundation

/// A machine in order: one driver, one device, a cache that can be written.
func healthy(in folder: Folder) throws -> Doctor.Surroundings {
  var made = Doctor.Surroundings()
  made.root = folder.url.path
  made.environment = ["APUS_CACHE": folder.path("cache")]
  made.processors = 8
  made.usableProcessors = 8
  made.loadFailure = { _ in nil }
  made.isDriver = { _ in true }
  made.isAccessible = { _ in true }
  made.isReadable = { _ in true }
  made.platforms = {
    [platform("Portable Computing Language", [device(0, "pthread-cpu", "AuthenticAMD")])]
  }
  made.tryDevice = { _ in }
  try folder.write("libpocl.so.2\n", "etc/OpenCL/vendors/pocl.icd")
  return made
}

func problems(_ surroundings: Doctor.Surroundings) -> [Doctor.Finding] {
  Doctor(surroundings).examine().filter { $0.level == .problem }
}

func platform(_ name: String, _ devices: [OpenCLPlatform.Device]) -> OpenCLPlatform {
  OpenCLPlatform(name: name, version: "OpenCL 3.0", devices: devices)
}

func device(_ index: Int, _ name: String, _ vendor: String) -> OpenCLPlatform.Device {
  OpenCLPlatform.Device(index: index, name: name, vendor: vendor, driverVersion: "1")
}
