import Foundation

extension Doctor {
  private static let vendors = "/etc/OpenCL/vendors"

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
      let fault: (text: String, remedy: String)?
      if let library = library(named: path) {
        fault = self.fault(of: library, from: path, files.variable?.name).map {
          ("\(name): \($0.text)", $0.remedy)
        }
        if fault == nil { return Finding(subject, .ok, "\(name): \(library)") }
      } else {
        fault = self.fault(of: path)
      }
      return Finding(subject, .problem, fault?.text ?? "", remedy: fault?.remedy)
    }
  }

  /// What is wrong with a library, named by a file or by a variable of the environment.
  private func fault(of library: String, from path: String, _ variable: String?)
    -> (text: String, remedy: String)?
  {
    let added = surroundings.value("OCL_ICD_FILENAMES")?.split(separator: ":") ?? []
    let naming = added.contains(Substring(path)) ? nil : variable
    let removal =
      path.hasSuffix(".icd") ? self.removal(path) : "unset \(naming ?? "OCL_ICD_FILENAMES")"
    if let failure = surroundings.loadFailure(library) {
      let text = "the driver '\(library)' does not load: \(failure)"
      // Of a library that is there but needs another, the loader names the other.
      let own = ["cannot open", "cannot read", "file too short", "invalid ELF", "wrong ELF"]
      if own.contains(where: { failure.hasPrefix("\(library): \($0)") }) {
        return (text, DriverPackage.of(library: library)?.install ?? removal)
      }
      let file =
        library.contains("/")
        ? quoted(library) : "$(ldconfig -p | grep -m1 -F '\(library) ' | sed 's/.*=> //')"
      return (text, "ldd \(file)  # then install what is 'not found'")
    }
    if surroundings.isDriver(library) { return nil }
    return (
      "'\(library)' is no OpenCL driver: it has neither clIcdGetPlatformIDsKHR nor "
        + "clGetExtensionFunctionAddress", removal
    )
  }

  /// What is wrong with an `.icd` file that names no library.
  private func fault(of path: String) -> (text: String, remedy: String) {
    let real = surroundings.root + path
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: real, isDirectory: &isFolder) else {
      return ("\(path) is a link to nothing", removal(path))
    }
    if isFolder.boolValue {
      return ("\(path) is a directory and names no library", removal(path))
    }
    if !surroundings.isReadable(real) {
      return ("\(path) may not be read", "sudo chmod a+r \(quoted(path))")
    }
    return ("\(path) is empty and names no library", removal(path))
  }

  /// Takes a wrong `.icd` file away; where a package is known to bring it, that brings the right one.
  private func removal(_ path: String) -> String {
    let restore =
      path.hasPrefix(Self.vendors + "/")
      ? DriverPackage.of(icd: (path as NSString).lastPathComponent)?.restore : nil
    return "sudo rm -r \(quoted(path))" + (restore.map { " && " + $0 } ?? "")
  }

  /// What brings a driver back that loads but makes no platform.
  var driverRemedy: String {
    driverFiles().paths.compactMap(library).compactMap { DriverPackage.of(library: $0)?.install }
      .first ?? "sudo apt-get install pocl-opencl-icd"
  }

  /// `.icd` files as the loaders find them: by `OCL_ICD_VENDORS` (a folder or file),
  /// `OPENCL_VENDOR_PATH` or in `/etc/OpenCL/vendors`; libraries in `OCL_ICD_FILENAMES` beside these.
  private func driverFiles() -> (paths: [String], variable: (name: String, value: String)?) {
    let system = Self.vendors
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
}
