// One call of a function in a helper: the caller's end.

import PreforkEventLoop
import PreforkSystem
import Synchronization

/// What goes over the socket of a call. Numbers are of this machine's byte order: both ends are one program.
///
/// | from   | bytes                                                              |
/// |--------|--------------------------------------------------------------------|
/// | caller | the name's length and the input's length, 8 each, then both        |
/// | helper | a kind, 1, a length, 8, and so many bytes: a result, or an error's text |
/// | nursery | as the helper, when that has ended: its status, 4 bytes            |
enum HelperMessage {
    static let result: UInt8 = 1
    static let failure: UInt8 = 2
    static let end: UInt8 = 3
    static let headSize = 9
    /// A result of more bytes is refused.
    static let mostBytes = 1 << 30

    static func head(_ kind: UInt8, _ count: Int) -> [UInt8] { [kind] + bytes(UInt64(count)) }

    static func bytes(_ number: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) } }

    static func number(_ bytes: some Collection<UInt8>) -> UInt64 { bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) } }
}

struct HelperCall {
    private static let running = Atomic(0)
    static let limit = 1_000

    let name: String

    init(_ name: String) { self.name = name }

    func run(_ input: [UInt8]) async throws -> [UInt8] {
        _ = try HelperFunctions.body(name)
        let nursery = try Nursery.current()
        guard nursery.names.contains(name) else { throw HelperError(.madeTooLate(name)) }
        let before = Self.running.add(1, ordering: .relaxed).oldValue
        defer { Self.running.subtract(1, ordering: .relaxed) }
        guard before < Self.limit else { throw HelperError(.tooMany(limit: Self.limit)) }
        let socket: Int32
        do throws(SystemError) { socket = try nursery.begin() } catch { throw HelperError(.system(error)) }
        let connection = try Connection(adopting: socket)
        // Its end kills the helper, if it lives.
        defer { connection.close() }
        return try await answer(to: input, on: connection)
    }

    private func answer(to input: [UInt8], on connection: Connection) async throws -> [UInt8] {
        let name = Array(name.utf8)
        do {
            try await connection.writer.write(
                HelperMessage.bytes(UInt64(name.count)) + HelperMessage.bytes(UInt64(input.count)) + name + input)
        } catch let error as StreamError where error.code == .peerClosed {
            // What became of it follows.
        }
        do {
            let head = try await connection.reader.read(exactly: HelperMessage.headSize)
            let count = HelperMessage.number(head.dropFirst())
            guard count <= UInt64(HelperMessage.mostBytes) else { throw HelperError(.ended(.lost)) }
            let bytes = count == 0 ? [] : try await connection.reader.read(exactly: Int(count))
            switch head[0] {
            case HelperMessage.result: return bytes
            case HelperMessage.failure: throw HelperError(.failed(String(decoding: bytes, as: UTF8.self)))
            default: throw HelperError(.ended(status(bytes)))
            }
        } catch let error as StreamError where error.code == .endOfStream || error.code == .peerClosed {
            throw HelperError(.ended(.lost))
        }
    }

    private func status(_ bytes: [UInt8]) -> ExitStatus {
        guard bytes.count == 4 else { return .lost }
        let code = Int32(truncatingIfNeeded: HelperMessage.number(bytes))
        return code >= 0 ? .exited(code: code) : .signaled(Signal(rawValue: 0 - max(code, -64)), coreDumped: false)
    }
}
