// The jobs that wait to run on a loop's thread, in order.

/// A first-in first-out ring of jobs that grows by doubling and then allocates no more.
///
/// Owned and touched by one thread.
struct JobQueue: ~Copyable {
    /// A piece of a task, and whether it must run as the main actor's.
    struct Entry {
        var job: UnownedJob
        var isMainActor: Bool
    }

    /// Never empty, so its address is never nil.
    private var entries: UnsafeMutableBufferPointer<Entry>
    private var head = 0
    private(set) var count = 0

    init() {
        entries = .allocate(capacity: 256)
    }

    deinit {
        entries.deallocate()
    }

    var isEmpty: Bool { count == 0 }

    mutating func append(_ entry: Entry) {
        if count == entries.count { grow() }
        // The capacity is a power of two, so the mask keeps the index inside the allocation.
        (entries.baseAddress! + ((head + count) & (entries.count - 1))).initialize(to: entry)
        count += 1
    }

    mutating func popFirst() -> Entry? {
        guard count > 0 else { return nil }
        let entry = (entries.baseAddress! + head).move()
        head = (head + 1) & (entries.count - 1)
        count -= 1
        return entry
    }

    private mutating func grow() {
        let larger = UnsafeMutableBufferPointer<Entry>.allocate(capacity: entries.count * 2)
        for index in 0..<count {
            (larger.baseAddress! + index).initialize(to: entries[(head + index) & (entries.count - 1)])
        }
        entries.deallocate()
        entries = larger
        head = 0
    }
}
