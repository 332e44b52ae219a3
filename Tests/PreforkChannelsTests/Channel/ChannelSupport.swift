// What the channel tests share.

import PreforkChannels
import PreforkStore
import Synchronization
import Testing

/// A name of its own for each channel: all tests share one registry.
func uniqueName(_ base: String = "test") -> String {
    "\(base)-\(nameCounter.wrappingAdd(1, ordering: .relaxed).newValue)"
}

/// Tests share the names of a service, too: of those that use all of them, or many, one at a time.
let namesTurn = Mutex(())

private let nameCounter = Atomic(0)

extension Channel {
    /// Both ends of a new channel in this process.
    static func both(
        _ configure: (inout ChannelOptions) -> Void = { _ in }
    ) throws -> (near: Channel, far: Channel) {
        var options = ChannelOptions()
        configure(&options)
        let channel = try Channel(name: uniqueName(), options)
        return (channel, channel.opposite)
    }
}

/// The code of the channel's error that `body` throws.
func code(_ body: () async throws -> Void) async -> ChannelError.Code? {
    do {
        try await body()
        return nil
    } catch {
        return (error as? ChannelError)?.code
    }
}

/// Two numbers and no more: enough of a codec to see that one is used.
struct Point: Codable, Hashable, Sendable {
    var x: Int
    var y: Int
}

struct PointCodec: ValueCodec {
    struct NotAPoint: Error {}

    var identifier: UInt8 { 200 }

    func encode<Value: Encodable>(_ value: Value) throws -> [UInt8] {
        guard let point = value as? Point, point.x >= 0 else { throw NotAPoint() }
        return [UInt8(point.x), UInt8(point.y)]
    }

    func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws -> Value {
        guard bytes.count == 2, let point = Point(x: Int(bytes[0]), y: Int(bytes[1])) as? Value else {
            throw NotAPoint()
        }
        return point
    }
}

/// A list that callbacks append to.
final class Log<Element: Sendable>: Sendable {
    private let entries = Mutex<[Element]>([])

    func add(_ entry: Element) {
        entries.withLock { $0.append(entry) }
    }

    var all: [Element] { entries.withLock { $0 } }
}
