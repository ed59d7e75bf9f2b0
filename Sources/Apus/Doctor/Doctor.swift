import ApusDevice
import ApusOpenCL
import Foundation

/// Looks for what keeps the engine from a device or slows it down, and says how to mend it.
package struct Doctor {
  /// One thing looked at.
  package struct Finding: Encodable, Sendable, Equatable {
    package enum Level: String, Encodable, Sendable {
      case ok
      /// Worth knowing; nothing is wrong.
      case note
      /// Something does not work, or the machine is slower than it could be.
      case problem
    }

    package let subject: String
    package let level: Level
    package let message: String
    /// A command that mends it.
    package let remedy: String?

    init(_ subject: String, _ level: Level, _ message: String, remedy: String? = nil) {
      self.subject = subject
      self.level = level
      self.message = message
      self.remedy = remedy
    }
  }

  let surroundings: Surroundings

  package init(_ surroundings: Surroundings = Surroundings()) { self.surroundings = surroundings }

  /// Every check, in the order in which a user would ask.
  package func examine() -> [Finding] {
    let drivers = loader()
    return drivers + platforms(drivers) + permissions() + graphicsCards() + settings()
      + processor() + cache()
  }
}

extension Doctor {
  /// What a check may look at; tests give their own.
  package struct Surroundings {
    /// Variables of the environment.
    package var environment = ProcessInfo.processInfo.environment
    /// Put before `/dev`, `/etc`, `/proc` and `/sys`.
    package var root = ""
    /// Processors that the machine has, and those that this process may use.
    package var processors = Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    package var usableProcessors = UsableProcessors.count
    /// Why a library cannot be loaded; nil where it can.
    package var loadFailure: (_ path: String) -> String? = { path in
      guard let library = dlopen(path, RTLD_LAZY | RTLD_LOCAL) else {
        return dlerror().map { String(cString: $0) } ?? "cannot be loaded"
      }
      // Stays loaded: drivers do not all survive being unloaded.
      withExtendedLifetime(library) {}
      return nil
    }
    /// Whether a library that loads is an OpenCL driver.
    package var isDriver: (_ path: String) -> Bool = { path in
      guard let library = dlopen(path, RTLD_LAZY | RTLD_LOCAL) else { return true }
      // The loader has them too, and with it whatever is linked to it.
      let loader = dlopen("libOpenCL.so.1", RTLD_LAZY | RTLD_LOCAL)
      return ["clIcdGetPlatformIDsKHR", "clGetExtensionFunctionAddress"].contains { name in
        guard let symbol = dlsym(library, name) else { return false }
        return loader.map { dlsym($0, name) } != symbol
      }
    }
    /// Whether this process may read a file.
    package var isReadable: (_ path: String) -> Bool = { access($0, R_OK) == 0 }
    /// Whether this process may read and write a file.
    package var isAccessible: (_ path: String) -> Bool = { access($0, R_OK | W_OK) == 0 }
    /// Why a folder takes no file (an error number), and how many bytes are free where it lies.
    package var writeFailure: (_ folder: String) -> Int32? = { Doctor.writeFailure($0) }
    package var freeBytes: (_ folder: String) -> Int? = { Doctor.freeBytes($0) }
    package var platforms: () throws -> [OpenCLPlatform] = { try OpenCLBackend.platforms() }
    /// Runs a small computation on OpenCL device N and throws what goes wrong.
    package var tryDevice: (_ index: Int) throws -> Void = { try Doctor.compute(on: $0) }

    package init() {}

    func value(_ name: String) -> String? {
      environment[name].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// The text of a small file, without the line break at its end.
    func text(_ path: String) -> String? {
      FileManager.default.contents(atPath: root + path)
        .map { String(decoding: $0, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines) }
    }

    /// Names in a folder, sorted; none where there is no such folder.
    func names(in folder: String) -> [String] {
      ((try? FileManager.default.contentsOfDirectory(atPath: root + folder)) ?? []).sorted()
    }
  }

  /// Opens the device, builds a kernel, runs it and reads the result.
  private static func compute(on index: Int) throws {
    let backend = try OpenCLBackend(index: index)
    let out = try backend.temporary([1000])
    try backend.enqueue(.fill(3), [], [out])
    try backend.enqueue(.scalar(.multiply, 2, reversed: false), [out], [out])
    var values = [Float](repeating: 0, count: 1000)
    try values.withUnsafeMutableBytes {
      try backend.download(out.storage, byteOffset: 0, into: $0)
    }
    guard values.allSatisfy({ $0 == 6 }) else {
      throw ApusError(
        .device, operation: "opencl:\(index)",
        "2 · 3 is not 6 on it; `apus selftest --device opencl:\(index)` tells more")
    }
  }
}
