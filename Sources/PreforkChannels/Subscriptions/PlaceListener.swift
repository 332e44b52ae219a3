// A loop that hears the bell of its process's place.

import PreforkEventLoop
import PreforkSystem
import Synchronization

/// The bell of this process's place in a loop's epoll, for all stores whose news are waited for on that loop.
///
/// Its ring says that some store has news, and not which one. Stores without news cost a look each.
final class PlaceListener: @unchecked Sendable {
    // Sendable: used on its loop's thread only. The table hands it to no other thread.
    let place: ProcessBells.Place
    private let loop: EventLoop
    private var watch: Watch?
    private var listeners: [Entry] = []

    private struct Entry {
        weak var listener: StoreListener?
    }

    private struct Known: Sendable {
        weak var listener: PlaceListener?
    }

    private static let known = Mutex<[ObjectIdentifier: Known]>([:])

    /// The one of a loop: a descriptor can be in an epoll once. Nil in a process without a place, and where the kernel
    /// refuses: then the stores' own bells have to do.
    static func shared(on loop: EventLoop) -> PlaceListener? {
        guard let place = ProcessBells.ownPlace else { return nil }
        let key = ObjectIdentifier(loop)
        if let listener = known.withLock({ $0[key]?.listener }), listener.place.number == place.number {
            return listener
        }
        guard let new = try? PlaceListener(place, on: loop) else { return nil }
        known.withLock { known in
            known = known.filter { $0.value.listener != nil }
            known[key] = Known(listener: new)
        }
        return new
    }

    private init(_ place: ProcessBells.Place, on loop: EventLoop) throws(SystemError) {
        self.place = place
        self.loop = loop
        let watch = Watch(place.number) { [weak self] _ in self?.tellAll() }
        try loop.add(watch, for: .readableOnce)
        self.watch = watch
    }

    deinit {
        if let watch { loop.remove(watch) }
    }

    /// Has the rings reach a store's listener, which keeps this object.
    func add(_ listener: StoreListener) {
        listeners.removeAll { $0.listener == nil }
        listeners.append(Entry(listener: listener))
    }

    private func tellAll() {
        for entry in listeners { entry.listener?.rang() }
    }
}
