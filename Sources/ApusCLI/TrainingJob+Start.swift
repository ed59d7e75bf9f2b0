import Apus
import Foundation

/// Where a run goes on.
enum Resume: Equatable {
  /// From the last checkpoint of the folder.
  case last
  case file(String)
}

extension TrainingJob {
  /// The checkpoint to go on from; nil for a beginning.
  /// - Throws: ``ApusError`` where the checkpoint cannot be used, or a new run would overwrite one.
  func resumed(
    _ graph: GraphModel, _ task: any LearningTask, on device: Device
  ) throws -> Checkpoint? {
    let path: String
    switch resume {
    case nil:
      if let checkpoints, checkpoints.hasLast {
        throw ApusError(
          .file, operation: checkpoints.path,
          "holds the checkpoints of an earlier run; go on from them with --resume, or name another "
            + "folder")
      }
      return nil
    case .last:
      guard let checkpoints else { return nil }
      guard FileManager.default.fileExists(atPath: checkpoints.path) else {
        throw ApusError(
          .file, operation: checkpoints.path, "there is no such folder to resume from")
      }
      guard checkpoints.hasLast else {
        if !isQuiet {
          Console.note("no epoch is complete in \(checkpoints.path) yet; starting at the beginning")
        }
        return nil
      }
      path = checkpoints.last
    case .file(let name):
      path = name
      if let checkpoints, checkpoints.hasLast, !isSame(path, checkpoints.last),
        !isSame(path, checkpoints.best)
      {
        throw ApusError(
          .file, operation: checkpoints.path,
          "holds the checkpoints of another run than \(path); name another folder")
      }
    }
    let checkpoint = try Checkpoint(path: path, on: device)
    try requireSameRun(checkpoint, graph, task)
    if !isQuiet { announce(checkpoint, path, device) }
    return checkpoint
  }

  private func isSame(_ a: String, _ b: String) -> Bool {
    func place(_ path: String) -> String {
      URL(fileURLWithPath: path).standardizedFileURL.resolvingSymlinksInPath().path
    }
    return place(a) == place(b)
  }

  private func announce(_ checkpoint: Checkpoint, _ path: String, _ device: Device) {
    let progress = checkpoint.progress
    Console.note(
      "resuming after epoch \(progress.epoch) from \(path)"
        + (progress.device == device.name
          ? ""
          : "; it was written on \(progress.device), so the result may differ in rounding from one "
            + "that stayed there"))
  }

  /// Takes over the weights of a file where they fit, and says what was not.
  func initialise(_ graph: GraphModel, from path: String) throws {
    let file = try Safetensors(path: path)
    var state: [String: Tensor] = [:]
    let known = Set(graph.namedParameters().map(\.name))
    for name in file.entries.keys where known.contains(name) {
      state[name] = try file.tensor(name, on: graph.parameters()[0].device)
    }
    let load = try graph.loadMatching(state)
    guard !load.loaded.isEmpty else {
      throw ApusError(
        .file, operation: path,
        "has no tensor that fits the model \(model) by name and shape; the model has "
          + known.sorted().prefix(12).joined(separator: ", ") + ", the file "
          + file.entries.keys.sorted().prefix(12).joined(separator: ", "))
    }
    guard !isQuiet else { return }
    Console.note("initial weights from \(path): \(load.loaded.count) of \(known.count) tensors")
    for (names, meaning) in [
      (load.misshapen, "of another shape, not loaded"), (load.missing, "not in the file"),
      (
        file.entries.keys.filter { !known.contains($0) && !$0.hasPrefix("checkpoint/") }.sorted(),
        "in the file alone"
      ),
    ] where !names.isEmpty {
      Console.note("  \(meaning): \(names.joined(separator: ", "))")
    }
  }
}
