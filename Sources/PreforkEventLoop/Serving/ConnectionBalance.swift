// A worker's share of the connections, compared with its siblings'.

/// Publishes to siblings how many connections this process serves, and whether that is more than their average. The
/// code that knows the siblings gives it to the loop.
package struct ConnectionBalance {
    /// Publishes this process's count.
    package let publish: (Int) -> Void
    /// Whether a sibling should take the next connection.
    package let isAboveAverage: () -> Bool

    package init(publish: @escaping (Int) -> Void, isAboveAverage: @escaping () -> Bool) {
        self.publish = publish
        self.isAboveAverage = isAboveAverage
    }
}
