// swift-tools-version: 6.2
import PackageDescription

/// Every Swift target is built alike: Swift 6 mode, explicit `any`, imports that stay inside the module, and
/// nonisolated async functions that run where their caller runs (a stream never hops by itself).
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

/// A module of the library. It may import only the modules named in `on`.
func module(_ name: String, on dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func program(_ name: String, path: String, on dependencies: [Target.Dependency]) -> Target {
    .executableTarget(name: name, dependencies: dependencies, path: path, swiftSettings: settings)
}

/// - Parameter tables: files that the tests read where they lie.
func tests(_ name: String, of dependencies: [Target.Dependency], beside tables: [String] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, exclude: tables, swiftSettings: settings)
}

/// Hiredis and what needs it are part of a build only where trait `Valkey` is on: the plain build needs no C library.
let whenValkey = TargetDependencyCondition.when(traits: ["Valkey"])

let package = Package(
    name: "prefork",
    products: [
        .library(name: "Prefork", targets: ["Prefork"]),
        .library(name: "PreforkHTTP", targets: ["PreforkHTTP"]),
        .library(name: "PreforkServices", targets: ["PreforkServices"]),
        .library(name: "PreforkServicesTestKit", targets: ["PreforkServicesTestKit"]),
        .executable(name: "preforkctl", targets: ["preforkctl"]),
    ],
    traits: [
        .default(enabledTraits: ["ProcessExecutor"]),
        .trait(
            name: "ProcessExecutor",
            description: """
                A worker's event loop is the executor of its whole process (SPI of Swift 6.3). \
                Without it, or with another compiler, the worker's body gets the loop as its preferred executor.
                """),
        .trait(
            name: "Valkey",
            description: "A store and publish / subscribe on a Valkey or Redis server. Needs libhiredis-dev."),
        .trait(
            name: "ValkeyTLS",
            description: "TLS to that server. Needs hiredis 1.0 or newer with hiredis_ssl, and OpenSSL (libssl-dev).",
            enabledTraits: ["Valkey"]),
    ],
    targets: [
        // Its files lie in folders; the headers that they share lie above these.
        .target(name: "CPrefork", cSettings: [.headerSearchPath(".")]),
        module("PreforkSystem", on: ["CPrefork"]),
        module("PreforkEventLoop", on: ["PreforkCBOR", "PreforkSystem"]),
        module("PreforkSupervisor", on: ["PreforkSystem"]),
        module("PreforkCBOR", on: []),
        module("PreforkStore", on: ["PreforkCBOR", "PreforkSystem"]),
        module("PreforkServices", on: []),
        module("PreforkServicesTestKit", on: ["PreforkServices"]),
        module("PreforkChannels", on: ["PreforkStore", "PreforkCBOR", "PreforkEventLoop", "PreforkSystem"]),
        // No pkgConfig: headers and library are where the compiler looks anyway, and Debian's hiredis.pc has a flag
        // (-D_FILE_OFFSET_BITS) that SwiftPM warns about at every build.
        .systemLibrary(name: "CHiredis", path: "Sources/CHiredis", providers: [.apt(["libhiredis-dev"])]),
        .systemLibrary(
            name: "CHiredisTLS", path: "Sources/CHiredisTLS", providers: [.apt(["libhiredis-dev", "libssl-dev"])]),
        module(
            "PreforkValkey",
            on: [
                "PreforkChannels", "PreforkStore", "PreforkEventLoop", "PreforkSystem",
                .target(name: "CHiredis", condition: whenValkey),
                .target(name: "CHiredisTLS", condition: .when(traits: ["ValkeyTLS"])),
            ]),
        module("PreforkHTTP", on: ["PreforkEventLoop", "PreforkCBOR", "PreforkSystem"]),
        module("PreforkSubprocess", on: ["PreforkEventLoop", "PreforkSystem"]),
        module(
            "Prefork",
            on: [
                "PreforkSupervisor", "PreforkSubprocess", "PreforkChannels", "PreforkStore", "PreforkCBOR",
                "PreforkEventLoop", "PreforkServices", "PreforkSystem", .target(name: "PreforkValkey", condition: whenValkey),
            ]),
        program("preforkctl", path: "Sources/preforkctl", on: ["PreforkSupervisor", "PreforkSystem"]),
        program("hello-server", path: "Sources/Examples/hello-server", on: ["Prefork", "PreforkHTTP"]),
        program("page-server", path: "Sources/Examples/page-server", on: ["Prefork", "PreforkHTTP"]),
        program("run-command", path: "Sources/Examples/run-command", on: ["Prefork"]),
        program("shared-counter", path: "Sources/Examples/shared-counter", on: ["Prefork"]),
        program("service-tree", path: "Sources/Examples/service-tree", on: ["Prefork"]),
        .target(
            name: "PreforkFixtureSupport", dependencies: ["PreforkSystem"], path: "Tests/Fixtures/Support",
            swiftSettings: settings),
        program(
            "fork-fixture", path: "Tests/Fixtures/fork-fixture", on: ["Prefork", "PreforkFixtureSupport", "StepsC"]),
        program(
            "subprocess-fixture", path: "Tests/Fixtures/subprocess-fixture",
            on: ["Prefork", "PreforkSubprocess", "PreforkFixtureSupport"]),
        program(
            "store-fixture", path: "Tests/Fixtures/store-fixture", on: ["Prefork", "PreforkFixtureSupport", "Stepping"]),
        .target(name: "Stepping", path: "Tests/Stepping"),
        .target(name: "StepsC", path: "Tests/Fixtures/StepsC"),
        .executableTarget(name: "refuse-fixture", path: "Tests/Fixtures/refuse-fixture"),
        .target(name: "HostileC", path: "Tests/Fixtures/HostileC"),
        program(
            "hostile-fixture", path: "Tests/Fixtures/hostile-fixture",
            on: ["Prefork", "PreforkSupervisor", "PreforkSystem", "PreforkFixtureSupport", "HostileC"]),
        program("channel-fixture", path: "Tests/Fixtures/channel-fixture", on: ["Prefork", "PreforkFixtureSupport"]),
        program("control-fixture", path: "Tests/Fixtures/control-fixture", on: ["PreforkSupervisor", "PreforkSystem"]),
        program(
            "ops-fixture", path: "Tests/Fixtures/ops-fixture",
            on: ["Prefork", "PreforkSystem", "PreforkFixtureSupport", "StepsC"]),
        program(
            "deploy-fixture", path: "Tests/Fixtures/deploy-fixture",
            on: ["Prefork", "PreforkSystem", "PreforkFixtureSupport"]),
        program("queue-fixture", path: "Tests/Fixtures/queue-fixture", on: ["Prefork", "PreforkFixtureSupport"]),
        program(
            "host-fixture", path: "Tests/Fixtures/host-fixture",
            on: ["PreforkSupervisor", "PreforkSystem", "PreforkFixtureSupport"]),
        program(
            "manager-fixture", path: "Tests/Fixtures/manager-fixture",
            on: ["Prefork", "PreforkSupervisor", "PreforkSystem", "PreforkFixtureSupport"]),
        program("tree-fixture", path: "Tests/Fixtures/tree-fixture", on: ["Prefork", "PreforkFixtureSupport"]),
        program("short-fixture", path: "Tests/Fixtures/short-fixture", on: ["Prefork"]),
        program("main-fixture", path: "Tests/Fixtures/main-fixture", on: ["Prefork"]),
        program(
            "travel-fixture", path: "Tests/Fixtures/travel-fixture",
            on: ["Prefork", "PreforkSystem", "PreforkFixtureSupport"]),
        program(
            "websocket-fixture", path: "Tests/Fixtures/websocket-fixture",
            on: ["PreforkHTTP", "PreforkEventLoop", "PreforkSystem"]),
        program(
            "http-fixture", path: "Tests/Fixtures/http-fixture", on: ["Prefork", "PreforkHTTP", "PreforkEventLoop"]),
        program(
            "metrics-fixture", path: "Tests/Fixtures/metrics-fixture",
            on: ["Prefork", "PreforkFixtureSupport", "StepsC"]),
        program(
            "handover-fixture", path: "Tests/Fixtures/handover-fixture",
            on: ["Prefork", "PreforkEventLoop", "PreforkSystem", "PreforkFixtureSupport"]),
        program("guess-fixture", path: "Tests/Fixtures/guess-fixture", on: ["Prefork"]),
        .executableTarget(
            name: "store-measurement", dependencies: ["Prefork"], path: "Scripts/benchmarks/store-measurement",
            swiftSettings: settings),
        .executableTarget(
            name: "operations-measurement", dependencies: ["Prefork"],
            path: "Scripts/benchmarks/operations-measurement", swiftSettings: settings),
        .executableTarget(
            name: "service-measurement", dependencies: ["PreforkServices"],
            path: "Scripts/benchmarks/service-measurement", swiftSettings: settings),
        program("benchmark-server", path: "Scripts/benchmarks/benchmark-server", on: ["Prefork"]),
        .executableTarget(
            name: "http-measurement", dependencies: ["Prefork", "PreforkHTTP"],
            path: "Scripts/benchmarks/http-measurement", swiftSettings: settings),
        program(
            "metrics-measurement", path: "Scripts/benchmarks/metrics-measurement",
            on: ["Prefork", "PreforkSupervisor", "PreforkSystem"]),
        .executableTarget(
            name: "memory-measurement", dependencies: ["Prefork"], path: "Scripts/benchmarks/memory-measurement",
            swiftSettings: settings),
        .executableTarget(
            name: "request-measurement", dependencies: ["Prefork"],
            path: "Scripts/benchmarks/request-measurement", swiftSettings: settings),
        .target(
            name: "PreforkTestSupport", dependencies: ["PreforkSystem", "PreforkEventLoop"], path: "Tests/Support",
            swiftSettings: settings),
        .target(
            name: "PreforkBackendSuite",
            dependencies: ["PreforkChannels", "PreforkStore", "PreforkSystem", "PreforkTestSupport"],
            path: "Tests/BackendSuite", swiftSettings: settings),
        tests("PreforkSystemTests", of: ["PreforkSystem", "PreforkTestSupport", "HostileC", "host-fixture"]),
        tests("PreforkEventLoopTests", of: ["PreforkEventLoop", "PreforkSystem", "PreforkTestSupport"]),
        tests(
            "PreforkHTTPTests",
            of: [
                "PreforkHTTP", "PreforkEventLoop", "PreforkSystem", "PreforkTestSupport", "http-fixture", "hello-server",
                "page-server", "preforkctl",
            ]),
        tests(
            "PreforkSupervisorTests",
            of: ["PreforkSupervisor", "PreforkSystem", "PreforkTestSupport", "control-fixture", "host-fixture"],
            beside: ["Once/cron_table.json"]),
        tests(
            "PreforkctlTests",
            of: ["preforkctl", "PreforkSupervisor", "PreforkSystem", "PreforkTestSupport", "control-fixture"]),
        tests("PreforkServicesTests", of: ["PreforkServices", "PreforkServicesTestKit", "PreforkTestSupport"]),
        tests(
            "PreforkCBORTests", of: ["PreforkCBOR", "PreforkSystem", "PreforkTestSupport"], beside: ["cbor_table.json"]),
        tests(
            "PreforkStoreTests",
            of: [
                "PreforkStore", "PreforkCBOR", "PreforkSystem", "PreforkTestSupport", "store-fixture", "refuse-fixture",
            ]),
        tests(
            "PreforkChannelsTests",
            of: [
                "PreforkChannels", "PreforkStore", "PreforkCBOR", "PreforkEventLoop", "PreforkSystem",
                "PreforkTestSupport", "PreforkBackendSuite", "channel-fixture", "queue-fixture", "store-fixture",
            ]),
        tests(
            "PreforkValkeyTests",
            of: [
                "PreforkChannels", "PreforkStore", "PreforkEventLoop", "PreforkSystem", "PreforkTestSupport",
                "PreforkBackendSuite", .target(name: "PreforkValkey", condition: whenValkey),
            ]),
        tests(
            "PreforkSubprocessTests",
            of: [
                "PreforkSubprocess", "PreforkEventLoop", "PreforkSystem", "PreforkTestSupport", "subprocess-fixture",
                "run-command", "refuse-fixture",
            ]),
        tests(
            "PreforkTests",
            of: [
                "Prefork", "PreforkEventLoop", "PreforkSupervisor", "PreforkSystem", "PreforkTestSupport", "fork-fixture",
                "manager-fixture", "ops-fixture", "hostile-fixture", "benchmark-server", "shared-counter", "service-tree",
                "tree-fixture", "guess-fixture", "travel-fixture", "refuse-fixture", "short-fixture", "main-fixture",
                "handover-fixture", "preforkctl",
            ]),
        tests("BenchmarkServerTests", of: ["benchmark-server", "Prefork", "PreforkSystem"]),
    ]
)
