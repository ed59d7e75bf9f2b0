import Foundation

extension Error {
  /// Why a file or folder could not be read or written, in words; Foundation gives a bare number for some.
  package var fileReason: String {
    guard let error = self as? CocoaError else { return localizedDescription }
    return switch error.code {
    case .fileReadNoSuchFile, .fileNoSuchFile: "there is no such file or folder"
    case .fileReadNoPermission, .fileWriteNoPermission: "permission is denied"
    case .fileReadUnknown:
      "it is of another kind (a folder where a file is expected, or the reverse), or damaged"
    case .fileWriteUnknown: "something on the path is no folder, or the disk refuses"
    case .fileWriteOutOfSpace: "no space is left"
    default: localizedDescription
    }
  }
}
