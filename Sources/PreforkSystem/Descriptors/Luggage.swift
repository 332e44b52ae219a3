// Descriptors that go with a value through its encoder and decoder, which know nothing of them.

import CPrefork

/// What a value that is encoded sends along, and what has come along with one that is decoded.
///
/// `encode(to:)` and `init(from:)` run on the calling thread, whatever the codec. So the packing or unpacking
/// code keeps a pointer to its luggage in a word of the thread while the codec works.
package enum Luggage {
    /// What goes along. The descriptors stay their owners'.
    package struct Packing: Sendable {
        package fileprivate(set) var descriptors: [Int32] = []
        /// Keep the descriptors open until the message is sent.
        private var owners: [any AnyObject & Sendable] = []

        package init() {}

        fileprivate mutating func add(_ numbers: [Int32], of owner: any AnyObject & Sendable) -> Int {
            owners.append(owner)
            defer { descriptors += numbers }
            return descriptors.count
        }
    }

    /// What has come along, which belongs to this process. Descriptors that are not taken are closed.
    private struct Unpacking {
        var descriptors: [Int32]
        let carrier: (any Sendable)?
    }

    /// Has values that `body` encodes on this thread pack into `packing`.
    package static func pack<Value>(
        _ packing: inout Packing, _ body: () throws -> Value
    ) rethrows -> Value {
        try withUnsafeMutablePointer(to: &packing) { place in
            let outer = cprefork_luggage(0)
            // Proof: the pointer is out of the thread's word again before it ends, and only this thread reads that.
            cprefork_set_luggage(0, place)
            defer { cprefork_set_luggage(0, outer) }
            return try body()
        }
    }

    /// What has been packed so far on this thread.
    package static var packed: Packing {
        cprefork_luggage(0).map { $0.assumingMemoryBound(to: Packing.self).pointee } ?? Packing()
    }

    /// Sends descriptors along with the value that is encoded on this thread.
    ///
    /// - Parameter owner: keeps them open.
    /// - Returns: the number of the first of them. Nil if the encoder that works here takes no descriptors along.
    package static func add(_ numbers: [Int32], of owner: any AnyObject & Sendable) -> Int? {
        cprefork_luggage(0).map { $0.assumingMemoryBound(to: Packing.self).pointee.add(numbers, of: owner) }
    }

    /// Has values that `body` decodes on this thread take from `descriptors`. Those that are left are closed.
    ///
    /// - Parameter carrier: what they have come by, for `carrier`.
    package static func unpack<Value>(
        _ descriptors: [Int32], by carrier: (any Sendable)?, _ body: () throws -> Value
    ) rethrows -> Value {
        var unpacking = Unpacking(descriptors: descriptors, carrier: carrier)
        defer { for number in unpacking.descriptors where number >= 0 { closeForeignDescriptor(number) } }
        return try withUnsafeMutablePointer(to: &unpacking) { place in
            let outer = cprefork_luggage(1)
            // Proof: as in `pack`.
            cprefork_set_luggage(1, place)
            defer { cprefork_set_luggage(1, outer) }
            return try body()
        }
    }

    /// Whether a value is decoded on this thread with which descriptors may have come.
    package static var isArriving: Bool { cprefork_luggage(1) != nil }

    /// What the value has come by.
    package static var carrier: (any Sendable)? {
        cprefork_luggage(1)?.assumingMemoryBound(to: Unpacking.self).pointee.carrier
    }

    /// Takes descriptors that came with the value; the caller must close them.
    ///
    /// - Returns: nil when they did not come, or were taken before.
    package static func take(_ first: Int, count: Int) -> [Int32]? {
        guard let place = cprefork_luggage(1)?.assumingMemoryBound(to: Unpacking.self) else { return nil }
        let known = place.pointee.descriptors.count
        guard first >= 0, count > 0, count <= known, first <= known - count else { return nil }
        let taken = Array(place.pointee.descriptors[first..<first + count])
        if taken.contains(where: { $0 < 0 }) { return nil }
        for index in first..<first + count { place.pointee.descriptors[index] = -1 }
        return taken
    }
}
