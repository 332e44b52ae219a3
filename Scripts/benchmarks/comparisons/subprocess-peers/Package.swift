// swift-tools-version: 6.2
import PackageDescription

// The same measurements by Prefork and by swift-subprocess, for Scripts/bench. A package of its own: the root has no
// dependency.
let package = Package(
    name: "subprocess-peers",
    dependencies: [
        .package(name: "prefork", path: "../../../.."),
        .package(url: "https://github.com/swiftlang/swift-subprocess.git", from: "1.0.2"),
    ],
    targets: [
        .target(name: "Measurement"),
        .executableTarget(
            name: "prefork-subprocess", dependencies: [.product(name: "Prefork", package: "prefork"), "Measurement"]),
        .executableTarget(
            name: "peer-subprocess",
            dependencies: [.product(name: "Subprocess", package: "swift-subprocess"), "Measurement"]),
    ]
)
