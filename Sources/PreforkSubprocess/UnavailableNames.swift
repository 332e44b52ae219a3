// What Popen, Foundation.Process and swift-subprocess call things: the compiler names what they are called here.
//
// No declaration here can be called. They cost no program anything, and save a search.

public import PreforkSystem

extension Subprocess {
    @available(*, unavailable, renamed: "waitForExit()")
    public func wait() async throws -> Exit { fatalError() }

    @available(*, unavailable, renamed: "waitForExit()")
    public func waitUntilExit() async throws {}

    @available(*, unavailable, renamed: "exit")
    public func poll() -> Exit? { fatalError() }

    @available(*, unavailable, message: "write to stdin and call output(), or Subprocess.run with stdin: .text(...)")
    public func communicate(_ input: String = "") async throws -> Output { fatalError() }

    @available(*, unavailable, renamed: "send(_:)")
    public func sendSignal(_ signal: Signal) {}

    @available(*, unavailable, message: "send(.interrupt)")
    public func interrupt() {}

    @available(*, unavailable, renamed: "onExit(_:)")
    public func setExitCallback(_ body: @escaping @Sendable (Exit) -> Void) {}

    @available(*, unavailable, message: "exit == nil")
    public var isRunning: Bool { fatalError() }

    @available(*, unavailable, renamed: "pid")
    public var processIdentifier: Int32 { fatalError() }

    @available(*, unavailable, message: "exit?.returnCode: nil while it runs")
    public var returnCode: Int32? { fatalError() }

    @available(*, unavailable, message: "exit?.status, or exit?.returnCode")
    public var terminationStatus: Int32 { fatalError() }

    @available(*, unavailable, message: "Subprocess.run(...).check().stdout")
    public static func checkOutput(_ arguments: [String]) async throws -> [UInt8] { fatalError() }

    @available(*, unavailable, message: "Subprocess.run(...).exit, or .check() to have failures thrown")
    public static func call(_ arguments: [String]) async throws -> Int32 { fatalError() }
}

extension Subprocess.Output {
    @available(*, unavailable, renamed: "exit.returnCode")
    public var returnCode: Int32? { fatalError() }

    @available(*, unavailable, renamed: "check()")
    public func checkReturnCode() throws {}

    @available(*, unavailable, renamed: "exit.status")
    public var terminationStatus: ExitStatus { fatalError() }

    @available(*, unavailable, message: "stdout, or stdoutText")
    public var standardOutput: [UInt8] { fatalError() }

    @available(*, unavailable, message: "stderr, or stderrText")
    public var standardError: [UInt8] { fatalError() }
}

extension CalledProcessError {
    @available(*, unavailable, renamed: "command")
    public var cmd: Command { fatalError() }

    @available(*, unavailable, message: "output?.stdout, or output?.stdoutText")
    public var stdout: [UInt8] { fatalError() }

    @available(*, unavailable, message: "output?.stderr, or output?.stderrText")
    public var stderr: [UInt8] { fatalError() }
}

extension Command {
    @available(*, unavailable, message: "no shell is between: Command(\"sh\", \"-c\", text)")
    public init(_ text: String, shell: Bool) { fatalError() }
}
