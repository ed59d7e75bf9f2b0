// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "CopyTask",
  dependencies: [.package(name: "Apus", path: "../..")],
  targets: [
    .executableTarget(
      name: "CopyTask", dependencies: [.product(name: "Apus", package: "Apus")],
      swiftSettings: [
        .treatAllWarnings(as: .error),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
      ])
  ],
  swiftLanguageModes: [.v6]
)
