// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

/// A library target of the engine; an arrow of the module map is an entry of `imports`.
func module(
  _ name: String, path: String? = nil, imports: [Target.Dependency], resources: [Resource] = []
) -> Target {
  .target(
    name: name, dependencies: imports, path: path, resources: resources, swiftSettings: settings)
}

func tests(of name: String, imports: [Target.Dependency], resources: [Resource] = []) -> Target {
  .testTarget(
    name: name + "Tests", dependencies: [.byName(name: name)] + imports, resources: resources,
    swiftSettings: settings)
}

let package = Package(
  name: "Apus",
  products: [
    .library(name: "Apus", targets: ["Apus"]),
    .executable(name: "apus", targets: ["apus"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.5.0"),
  ],
  targets: [
    // System headers.
    .systemLibrary(
      name: "COpenCL", pkgConfig: "OpenCL",
      providers: [.apt(["ocl-icd-opencl-dev", "opencl-headers"])]),
    .systemLibrary(name: "CBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),
    .systemLibrary(name: "CJPEG", pkgConfig: "libjpeg", providers: [.apt(["libjpeg-dev"])]),
    .target(
      name: "CJPEGReader", dependencies: ["CJPEG"], linkerSettings: [.linkedLibrary("jpeg")]),
    .target(name: "CPNGReader", dependencies: ["CPNG"], linkerSettings: [.linkedLibrary("png")]),
    .target(name: "CProcessors"),
    .target(name: "CVector", dependencies: ["CProcessors"]),
    .target(name: "CPeak"),

    // Devices: the seam and what lies below it.
    module("ApusDevice", imports: ["CProcessors"]),
    module("ApusReference", imports: ["ApusDevice"]),
    module("ApusCPU", imports: ["ApusDevice", "CBLAS", "CVector"]),
    module("ApusKernels", path: "Kernels", imports: [], resources: [.embedInCode("OpenCL")]),
    module("ApusOpenCL", imports: ["ApusDevice", "ApusKernels", "COpenCL"]),

    // Above the seam: nothing here knows which device computes.
    module("ApusTensor", imports: ["ApusDevice"]),
    module("ApusNN", imports: ["ApusDevice", "ApusTensor"]),
    module("ApusOptimizers", imports: ["ApusDevice", "ApusTensor"]),
    module(
      "ApusData", imports: ["ApusDevice", "CZlib", "CPNG", "CPNGReader", "CJPEGReader"],
      resources: [.embedInCode("Embedded")]),
    module("ApusMetrics", imports: ["ApusDevice"]),
    module(
      "ApusTraining",
      imports: ["ApusDevice", "ApusTensor", "ApusNN", "ApusOptimizers", "ApusData", "ApusMetrics"]),

    // Cases that any device must pass: for the tests and for `apus selftest`.
    module("ApusConformance", imports: ["ApusDevice", "ApusReference"]),

    // The umbrella and the command.
    module(
      "Apus",
      imports: [
        "ApusDevice", "ApusReference", "ApusCPU", "ApusOpenCL", "ApusTensor", "ApusNN",
        "ApusOptimizers", "ApusData", "ApusMetrics", "ApusTraining",
      ]),
    module("ApusBenchmark", imports: ["Apus", "ApusOpenCL", "CPeak"]),
    .executableTarget(
      name: "apus",
      dependencies: [
        "Apus", "ApusBenchmark", "ApusConformance", "ApusOpenCL",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      path: "Sources/ApusCLI", swiftSettings: settings),

    .target(
      name: "TestSupport", dependencies: ["Apus", "ApusDevice", "ApusReference"],
      path: "Tests/TestSupport", swiftSettings: settings),
    tests(of: "ApusDevice", imports: ["ApusReference"], resources: [.copy("Golden")]),
    tests(of: "ApusCPU", imports: ["ApusDevice", "ApusReference", "CVector", "TestSupport"]),
    tests(
      of: "ApusOpenCL",
      imports: ["ApusConformance", "ApusDevice", "ApusReference", "COpenCL", "TestSupport"]),
    tests(of: "ApusTensor", imports: ["Apus", "TestSupport"], resources: [.copy("Golden")]),
    tests(of: "ApusNN", imports: ["Apus", "TestSupport"], resources: [.copy("Golden")]),
    tests(of: "ApusOptimizers", imports: ["Apus", "TestSupport"], resources: [.copy("Golden")]),
    tests(of: "ApusData", imports: ["ApusDevice"], resources: [.copy("Golden")]),
    tests(of: "ApusMetrics", imports: ["ApusDevice"], resources: [.copy("Golden")]),
    tests(of: "ApusTraining", imports: ["Apus", "ApusReference", "TestSupport"]),
    .testTarget(
      name: "ConformanceTests",
      dependencies: [
        "ApusConformance", "ApusDevice", "ApusReference", "ApusCPU", "ApusOpenCL",
      ],
      swiftSettings: settings),
    .testTarget(
      name: "CommandTests",
      dependencies: ["Apus", "ApusBenchmark", "ApusOpenCL", "apus", "TestSupport"],
      swiftSettings: settings),
  ],
  swiftLanguageModes: [.v6]
)
