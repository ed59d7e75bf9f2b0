import ApusDevice
import ApusOpenCL
import Foundation

extension Doctor {
  /// The drivers that the OpenCL loader is told of.
  func loader() -> [Finding] {
    let subject = "OpenCL drivers"
    let files = driverFiles()
    if let variable = files.variable, files.paths.isEmpty {
      return [
        Finding(
          subject, .problem,
          "\(variable.name) is '\(variable.value)', where no driver's .icd file is, so no OpenCL device "
            + "can be found", remedy: "unset \(variable.name)")
      ]
    }
    if files.paths.isEmpty {
      return [
        Finding(
          subject, .problem,
          "no driver is installed (no .icd file in /etc/OpenCL/vendors), so only the processor computes",
          remedy: "sudo apt-get install pocl-opencl-icd")
      ]
    }
    return files.paths.map { path in
      let name = (path as NSString).lastPathComponent
      guard let library = library(named: path) else {
        return Finding(
          subject, .problem, "\(path) cannot be read or names no library",
          remedy: "sudo apt-get install --reinstall $(dpkg -S \(path) | cut -d: -f1)")
      }
      if let failure = surroundings.loadFailure(library) {
        return Finding(
          subject, .problem, "\(name): the driver '\(library)' does not load: \(failure)",
          remedy: "ldd \(library)  # then install what is 'not found'")
      }
      return Finding(subject, .ok, "\(name): \(library)")
    }
  }

  /// `.icd` files as the loaders find them: by `OCL_ICD_VENDORS` (a folder or file),
  /// `OPENCL_VENDOR_PATH` or in `/etc/OpenCL/vendors`; libraries in `OCL_ICD_FILENAMES` beside these.
  private func driverFiles() -> (paths: [String], variable: (name: String, value: String)?) {
    let system = "/etc/OpenCL/vendors"
    var named = (surroundings.value("OCL_ICD_FILENAMES") ?? "").split(separator: ":").map(
      String.init)
    var variable: (name: String, value: String)?
    var folder = system
    for name in ["OCL_ICD_VENDORS", "OPENCL_VENDOR_PATH"] {
      guard let value = surroundings.value(name) else { continue }
      variable = (name, value)
      if value.hasSuffix(".icd") {
        let path = value.contains("/") ? value : "\(system)/\(value)"
        let exists = FileManager.default.fileExists(atPath: surroundings.root + path)
        return (named + (exists ? [path] : []), variable)
      }
      // Anything that is neither a folder nor an .icd file is a library.
      if value.contains(".so") { return (named + [value], variable) }
      folder = value
      break
    }
    named += surroundings.names(in: folder).filter { $0.hasSuffix(".icd") }.map {
      "\(folder)/\($0)"
    }
    return (named, variable)
  }

  private func library(named path: String) -> String? {
    if !path.hasSuffix(".icd") { return path }
    return surroundings.text(path)?.split(separator: "\n").first
      .map { $0.trimmingCharacters(in: .whitespaces) }.flatMap { $0.isEmpty ? nil : $0 }
  }

  /// The platforms that the drivers make, and whether their devices compute.
  func platforms() -> [Finding] {
    let found: [OpenCLPlatform]
    do {
      found = try surroundings.platforms()
    } catch {
      let message = (error as? ApusError)?.message ?? "\(error)"
      return [
        Finding(
          "OpenCL platforms", .problem, message, remedy: "sudo apt-get install pocl-opencl-icd")
      ]
    }
    var findings: [Finding] = []
    for platform in found {
      let name = "\(platform.name) (\(platform.version))"
      if platform.devices.isEmpty {
        // Mesa's driver offers a device only where one is asked for.
        let isMesa = platform.name.lowercased().contains("rusticl")
        findings.append(
          Finding(
            "OpenCL platforms", isMesa ? .note : .problem, "\(name) has no device",
            remedy: isMesa ? "export RUSTICL_ENABLE=llvmpipe  # or radeonsi, iris" : nil))
      }
      for device in platform.devices {
        do {
          try surroundings.tryDevice(device.index)
          findings.append(
            Finding(
              "opencl:\(device.index)", .ok,
              "\(device.name), driver \(device.driverVersion) of \(name), computes"))
        } catch {
          let message = (error as? ApusError)?.message ?? "\(error)"
          findings.append(
            Finding(
              "opencl:\(device.index)", .problem,
              "\(device.name), driver \(device.driverVersion) of \(name): \(message)",
              remedy: "apus selftest --device opencl:\(device.index)"))
        }
      }
    }
    return findings
  }
}
