import ApusDevice
import ApusOpenCL
import Foundation

extension Doctor {
  /// Device files that a GPU driver opens on the user's behalf.
  func permissions() -> [Finding] {
    let nodes =
      surroundings.names(in: "/dev/dri").filter { $0.hasPrefix("renderD") }.map { "/dev/dri/\($0)" }
      + surroundings.names(in: "/dev").filter { $0 == "kfd" || $0.hasPrefix("nvidia") }
      .filter { !$0.hasSuffix("-caps") }.map { "/dev/\($0)" }
    return nodes.map { node in
      if surroundings.isAccessible(surroundings.root + node) {
        return Finding("permissions", .ok, "\(node) may be read and written")
      }
      let attributes = try? FileManager.default.attributesOfItem(atPath: surroundings.root + node)
      let group = attributes?[.groupOwnerAccountName] as? String ?? "render"
      return Finding(
        "permissions", .problem,
        "\(node) may not be read and written by this user, so its driver hides the GPU; it belongs to "
          + "the group '\(group)'",
        remedy: "sudo usermod -aG \(group) $USER  # then log in again")
    }
  }

  /// Graphics cards on the PCI bus beside the drivers that could drive them.
  func graphicsCards() -> [Finding] {
    let folder = "/sys/bus/pci/devices"
    let vendors = ((try? surroundings.platforms()) ?? []).flatMap(\.devices).map {
      ($0.name + " " + $0.vendor).lowercased()
    }
    return surroundings.names(in: folder).compactMap { slot in
      // Class 03 is a display controller, 0x12 a processing accelerator.
      guard let pciClass = surroundings.text("\(folder)/\(slot)/class"),
        pciClass.hasPrefix("0x03") || pciClass.hasPrefix("0x12"),
        let vendor = surroundings.text("\(folder)/\(slot)/vendor"),
        let card = Self.cards[vendor]
      else { return nil }
      if vendors.contains(where: { text in card.signs.contains { text.contains($0) } }) {
        return Finding("graphics card", .ok, "a GPU from \(card.name) (\(slot)) and its driver")
      }
      return Finding(
        "graphics card", .problem,
        "a GPU from \(card.name) is in this machine (\(slot)), but no OpenCL driver offers it",
        remedy: card.remedy)
    }
  }

  private static let cards: [String: (name: String, signs: [String], remedy: String)] = [
    "0x10de": (
      "NVIDIA", ["nvidia", "geforce", "tesla", "quadro"],
      "sudo apt-get install nvidia-driver nvidia-opencl-icd"
    ),
    "0x1002": (
      "AMD", ["advanced micro devices", "radeon", "gfx"],
      "sudo apt-get install mesa-opencl-icd && export RUSTICL_ENABLE=radeonsi"
    ),
    "0x8086": ("Intel", ["intel"], "sudo apt-get install intel-opencl-icd"),
  ]
}
