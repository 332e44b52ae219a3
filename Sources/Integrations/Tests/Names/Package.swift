// swift-tools-version: 6.2
import PackageDescription

// Prefork beside libraries whose names meet ours (the manual's page "Names beside other libraries"). A package of its
// own: the root has no dependency. It needs only to compile: swift build --package-path Sources/Integrations/Tests/Names
let package = Package(
    name: "prefork-names",
    dependencies: [
        .package(name: "prefork", path: "../../../.."),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-system", from: "1.5.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/swiftlang/swift-subprocess.git", from: "1.0.2"),
    ],
    targets: [
        .target(
            name: "names",
            dependencies: [
                .product(name: "Prefork", package: "prefork"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "Subprocess", package: "swift-subprocess"),
            ],
            swiftSettings: [.swiftLanguageMode(.v6), .enableUpcomingFeature("ExistentialAny")])
    ]
)
