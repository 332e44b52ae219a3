// Blocking work in a process of its own: a function with a name, whose input and output travel.

import PreforkCBOR
import PreforkEventLoop
public import PreforkSystem
import Synchronization

/// A function that runs in a helper process, one for each call: for code that may crash, leak, or must be stoppable.
///
/// A closure cannot travel to another process, so the function is made before its process forks, with a name, and its input
/// and output are `Codable`. A worker or managed process forks one more process before it starts, with one thread and no
/// loop, which forks the helpers. It has one thread for good, so that a helper never inherits a lock that another thread
/// holds, whatever threads the worker has.
///
/// ```swift
/// let thumbnails = BlockingFunction("thumbnails") { (size: Int) in String(repeating: "x", count: size) }
/// try runtime.run { worker in
///     let text = try await thumbnails.run(100)
/// }
/// ```
public struct BlockingFunction<Input: Codable & Sendable, Output: Codable & Sendable>: Sendable {
    /// The name that it was made with.
    public let name: String

    /// - Parameters:
    ///   - name: of this function alone. A second one of the same name makes both unusable (`.duplicateName`).
    ///   - body: runs in the helper, on its only thread. What it changes in memory is gone with the helper.
    public init(_ name: String, _ body: @escaping @Sendable (Input) throws -> Output) {
        self.name = name
        HelperFunctions.add(name) { bytes in
            let codec = CBORCodec()
            return try codec.encode(body(codec.decode(Input.self, from: bytes)))
        }
    }

    /// Runs the function in a new helper and returns its result.
    ///
    /// The helper inherits memory from before its process's start, standard streams, stores and what the program has opened
    /// then. Listeners, connections and channels are closed in it. It ends with its call. When the calling task is
    /// cancelled, or its process ends, the helper is killed at once. A process that was asked to end waits for it until
    /// its drain timeout.
    ///
    /// - Throws: `HelperError`, `CancellationError`, and what encoding the input or decoding the output throws.
    public func run(_ input: Input) async throws -> Output {
        let codec = CBORCodec()
        let bytes = try codec.encode(input)
        try Task.checkCancellation()
        let hand = WorkInHand()
        defer { withExtendedLifetime(hand) {} }
        return try codec.decode(Output.self, from: try await HelperCall(name).run(bytes))
    }
}

/// A call of a `BlockingFunction` gave no result.
public struct HelperError: Error, Hashable, Sendable {
    /// What went wrong.
    public enum Code: Hashable, Sendable {
        /// The helper ended before it had answered. Its status, for example a signal.
        case ended(ExitStatus)
        /// The function has thrown. The text is its error's.
        case failed(String)
        /// There are two functions of this name.
        case duplicateName(String)
        /// The function was made after its process had forked the one that makes helpers.
        case madeTooLate(String)
        /// This process has more than one thread and has called no such function before: in a plain program, the first call
        /// must come before its threads.
        case multithreaded(threads: Int)
        /// So many helpers of this process run already.
        case tooMany(limit: Int)
        /// A system call failed.
        case system(SystemError)
    }

    /// What went wrong.
    public let code: Code

    init(_ code: Code) { self.code = code }
}

extension HelperError: CustomStringConvertible {
    public var description: String {
        switch code {
        case .ended(let status): "the helper process gave no result: \(status)"
        case .failed(let text): "the function failed in its helper process: \(Escaping.brief(text))"
        case .duplicateName(let name): "there are two blocking functions '\(Escaping.brief(name))'"
        case .madeTooLate(let name): "the blocking function '\(Escaping.brief(name))' was made after its process's start"
        case .multithreaded(let threads): "helpers cannot be forked: this process has \(threads) threads"
        case .tooMany(let limit): "\(limit) helpers run already"
        case .system(let error): "no helper process: \(error)"
        }
    }
}

/// The functions of this process by name.
enum HelperFunctions {
    typealias Body = @Sendable ([UInt8]) throws -> [UInt8]

    private static let bodies = Mutex<[String: Body?]>([:])

    static func add(_ name: String, _ body: @escaping Body) {
        // Nil for a name that two have.
        bodies.withLock { $0[name] = $0[name] == nil ? .some(body) : .some(nil) }
    }

    static var isEmpty: Bool { bodies.withLock { $0.isEmpty } }
    static var names: Set<String> { bodies.withLock { Set($0.keys) } }

    /// - Throws: `.duplicateName`, `.madeTooLate`.
    static func body(_ name: String) throws(HelperError) -> Body {
        guard let entry = bodies.withLock({ $0[name] }) else { throw HelperError(.madeTooLate(name)) }
        guard let body = entry else { throw HelperError(.duplicateName(name)) }
        return body
    }
}
