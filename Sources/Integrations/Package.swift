// swift-tools-version: 6.2
import PackageDescription

// Other packages' servers and libraries in Prefork's workers. A package of its own, so that Prefork has no dependency.
let settings: [SwiftSetting] = [.swiftLanguageMode(.v6), .enableUpcomingFeature("ExistentialAny")]

/// By its name, whatever the folder of the clone is called. As a repository, this package needs Prefork's address here
/// instead (see the README).
let preforkPackage = Package.Dependency.package(name: "prefork", path: "../..")

let prefork = Target.Dependency.product(name: "Prefork", package: "prefork")
let preforkHTTP = Target.Dependency.product(name: "PreforkHTTP", package: "prefork")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
    .product(name: "NIOHTTP1", package: "swift-nio"),
    .product(name: "NIOExtras", package: "swift-nio-extras"),
    .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
    httpTypes,
]
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
let flyingFox: [Target.Dependency] = [
    .product(name: "FlyingFox", package: "FlyingFox"),
    .product(name: "FlyingSocks", package: "FlyingFox"),
]
let grpc: [Target.Dependency] = [
    .product(name: "GRPCCore", package: "grpc-swift-2"),
    .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport"),
]

/// What programs can depend on.
let libraries: [(name: String, dependencies: [Target.Dependency])] = [
    ("PreforkNIO", nio),
    ("PreforkHTTPTypes", [httpTypes, preforkHTTP]),
    (
        "PreforkHummingbird",
        nio + [hummingbird, lifecycle, logging, preforkHTTP, "PreforkHTTPTypes", "PreforkLifecycle", "PreforkNIO"]
    ),
    ("PreforkFlyingFox", flyingFox),
    ("PreforkLifecycle", [lifecycle, logging]),
    ("PreforkLogging", [logging]),
    ("PreforkMetrics", [metrics]),
]

/// A program that the contract's tests run.
func server(_ name: String, on dependencies: [Target.Dependency]) -> Target {
    .executableTarget(
        name: name, dependencies: [prefork, "SlowRequest"] + dependencies, path: "Tests/Servers/\(name)",
        swiftSettings: settings)
}

let package = Package(
    name: "prefork-integrations",
    products: libraries.map { .library(name: $0.name, targets: [$0.name]) },
    dependencies: [
        preforkPackage,
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/swhitty/FlyingFox", from: "0.27.1"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        // For the tests alone.
        .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.4.3"),
        .package(url: "https://github.com/grpc/grpc-swift-nio-transport", from: "2.9.2"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
    ],
    targets: libraries.map {
        .target(name: $0.name, dependencies: [prefork] + $0.dependencies, swiftSettings: settings)
    } + [
        server("nio-server", on: nio + ["PreforkNIO"]),
        server("hummingbird-server", on: [hummingbird, logging, "PreforkHummingbird"]),
        server("router-server", on: [hummingbird, logging, "PreforkHummingbird"]),
        server("application-server", on: [hummingbird, lifecycle, logging, "PreforkHummingbird"]),
        server("types-server", on: [httpTypes, "PreforkHTTPTypes"]),
        server(
            "refused-server",
            on: [hummingbird, .product(name: "HummingbirdCore", package: "hummingbird"), "PreforkHummingbird"]),
        server(
            "documented-server",
            on: [
                hummingbird, .product(name: "HummingbirdRouter", package: "hummingbird"), logging, preforkHTTP,
                "PreforkHummingbird",
            ]),
        server("readme-server", on: [hummingbird, "PreforkHummingbird"]),
        server(
            "twin-server",
            on: [hummingbird, logging, .product(name: "NIOCore", package: "swift-nio"), "PreforkHummingbird"]),
        server(
            "hummingbird-measurement",
            on: [hummingbird, logging, .product(name: "NIOPosix", package: "swift-nio"), "PreforkHummingbird"]),
        server(
            "lifecycle-server",
            on: [
                lifecycle, logging, metrics, .product(name: "MetricsTestKit", package: "swift-metrics"),
                "PreforkLifecycle", "PreforkLogging", "PreforkMetrics",
            ]),
        server(
            "client-server",
            on: [
                hummingbird, lifecycle, logging, .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOCore", package: "swift-nio"), "PreforkHummingbird",
            ]),
        server("flyingfox-server", on: flyingFox + ["PreforkFlyingFox"]),
        server(
            "grpc-server", on: grpc + [.product(name: "NIOPosix", package: "swift-nio"), "AskService"]),
        .target(name: "SlowRequest", path: "Tests/Servers/SlowRequest", swiftSettings: settings),
        .target(
            name: "AskService", dependencies: [.product(name: "GRPCCore", package: "grpc-swift-2")],
            path: "Tests/Servers/AskService", swiftSettings: settings),
        .testTarget(
            name: "ContractTests",
            dependencies: grpc + [
                "AskService", "nio-server", "hummingbird-server", "router-server", "application-server",
                "documented-server", "readme-server", "refused-server", "twin-server", "types-server", "lifecycle-server", "client-server",
                "flyingfox-server", "grpc-server",
            ],
            swiftSettings: settings),
    ]
)
