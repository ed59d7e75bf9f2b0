import ArgumentParser
import Foundation

@main
struct ApusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "apus",
    abstract: "Train, evaluate and use neural networks on the CPU or any OpenCL device.",
    discussion: """
      A first model, from data that comes with the program:

        apus train --data digits --model mlp --epochs 20 --output digits.safetensors
        apus evaluate --model digits.safetensors --data digits
        apus predict --model digits.safetensors --input digit.png --output digit.json

      The same commands run on another device with --device: auto, cpu, opencl, opencl:N, reference.
      """,
    version: "0.1.0",
    subcommands: [
      Train.self, Evaluate.self, Predict.self, Generate.self, Explain.self, Import.self,
      ListDevices.self, DoctorCommand.self, SelfTestCommand.self, TuneCommand.self,
      BenchCommand.self, Summary.self, Presets.self, Demo.self, AugmentPreview.self,
    ])

  static func main() {
    // A file that would grow beyond `ulimit -f` is an error of its write, as a full disk is.
    signal(SIGXFSZ, SIG_IGN)
    main(nil)
  }
}
