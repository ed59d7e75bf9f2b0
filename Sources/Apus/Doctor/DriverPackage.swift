import Foundation

/// A driver that many have, by the names of its files, and what installs it.
struct DriverPackage {
  /// How the name of its library begins.
  let library: String
  /// Its file in `/etc/OpenCL/vendors`.
  let icd: String
  /// Packages of apt; nil where it does not come that way.
  let packages: String?
  /// What installs it, again where it is there already.
  let install: String

  private init(_ library: String, _ icd: String, apt packages: String, hint: String = "") {
    (self.library, self.icd, self.packages) = (library, icd, packages)
    install = "sudo apt-get install --reinstall \(packages)\(hint)"
  }

  private init(_ library: String, _ icd: String, pip package: String) {
    (self.library, self.icd, packages) = (library, icd, nil)
    install = "pip install --force-reinstall \(package)"
  }

  /// The package of a library, given by path or name.
  static func of(library: String) -> DriverPackage? {
    let name = (library as NSString).lastPathComponent
    return all.first { name.hasPrefix($0.library) }
  }

  /// The package that brings a file of `/etc/OpenCL/vendors`.
  static func of(icd: String) -> DriverPackage? { all.first { $0.icd == icd } }

  /// Puts the `.icd` file back, which apt takes for a setting of the user's: what was changed or removed
  /// stays so unless it is told otherwise.
  var restore: String? {
    packages.map {
      "sudo apt-get install --reinstall -o Dpkg::Options::=--force-confmiss \($0)"
    }
  }

  private static let all = [
    DriverPackage("libpocl", "pocl.icd", apt: "pocl-opencl-icd libpocl2"),
    DriverPackage(
      "libnvidia-opencl", "nvidia.icd", apt: "nvidia-opencl-icd",
      hint: "  # on Ubuntu libnvidia-compute-NNN, NNN as nvidia-smi says"),
    DriverPackage("libMesaOpenCL", "mesa.icd", apt: "mesa-opencl-icd"),
    DriverPackage("libRusticlOpenCL", "rusticl.icd", apt: "mesa-opencl-icd"),
    DriverPackage("libigdrcl", "intel.icd", apt: "intel-opencl-icd"),
    DriverPackage("libintelocl", "intelocl64.icd", pip: "intel-opencl-rt"),
    DriverPackage(
      "libamdocl", "amdocl64.icd", apt: "rocm-opencl-icd",
      hint: "  # of AMD's own packages rocm-opencl"),
  ]
}

/// The text as one word of a shell.
func quoted(_ text: String) -> String {
  "'" + text.replacingOccurrences(of: "'", with: "'\\''") + "'"
}
