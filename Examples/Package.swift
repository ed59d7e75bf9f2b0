// swift-tools-version: 6.2
import PackageDescription

/// Programs that use the library as any other package does.
let package = Package(
  name: "Examples",
  dependencies: [.package(name: "Apus", path: "..")],
  targets: ["Embedding", "CopyTask"].map { name in
    .executableTarget(
      name: name, dependencies: [.product(name: "Apus", package: "Apus")], path: name,
      swiftSettings: [
        .treatAllWarnings(as: .error),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
      ])
  },
  swiftLanguageModes: [.v6]
)
