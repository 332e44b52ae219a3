// Those tasks of a loop that wait for news of a store.

import PreforkEventLoop
import PreforkStore
import PreforkSystem
import Synchronization

/// A store's bell in a loop's epoll, and the tasks that wait for it there, or for the bell of this process's place.
///
/// All processes share the store's bell, which is in each one's epoll edge-triggered and never cleared: one ring wakes
/// every process that has it. A waiter says by bits what it waits for and where, looks once more, and sleeps. A process
/// that wakes rings for others first.
final class StoreListener: @unchecked Sendable {
    // Sendable: used on its loop's thread only. The table of listeners hands it to no other thread.
    let loop: EventLoop
    private let table: StoreTable
    private var watch: Watch?
    private var place: PlaceListener?
    private var waiters: [WaitSlot] = []
    private var stop: StopObservation?

    private struct Key: Hashable {
        let table: ObjectIdentifier
        let loop: ObjectIdentifier
    }

    private struct Entry: Sendable {
        weak var listener: StoreListener?
    }

    private static let listeners = Mutex<[Key: Entry]>([:])

    /// The one listener of a store on a loop: a descriptor can be in an epoll once.
    static func shared(_ table: StoreTable, on loop: EventLoop) throws(SystemError) -> StoreListener {
        let key = Key(table: ObjectIdentifier(table), loop: ObjectIdentifier(loop))
        if let listener = listeners.withLock({ $0[key]?.listener }) { return listener }
        let new = try StoreListener(table, on: loop)
        listeners.withLock { listeners in
            listeners = listeners.filter { $0.value.listener != nil }
            listeners[key] = Entry(listener: new)
        }
        return new
    }

    private init(_ table: StoreTable, on loop: EventLoop) throws(SystemError) {
        self.table = table
        self.loop = loop
        let watch = Watch(table.bell.descriptor.number) { [weak self] _ in self?.rang() }
        try loop.add(watch, for: .readableOnce)
        self.watch = watch
        place = PlaceListener.shared(on: loop)
        place?.add(self)
    }

    deinit {
        if let watch { loop.remove(watch) }
    }

    /// Suspends the calling task until the bell rings or a stop was requested, unless there is news already. On the
    /// loop's thread only.
    ///
    /// - Parameters:
    ///   - wish: what is waited for.
    ///   - limit: at most so long. If nil, without a limit.
    ///   - hasNews: asked after the wish to be woken was noted, so that nothing is missed.
    func sleep(for wish: SleepWish, atMost limit: Duration?, in slot: WaitSlot, unless hasNews: () -> Bool) async
        -> WaitOutcome
    {
        observeStop()
        if loop.isStopping { return .ready }
        table.passOn()
        let isSure = table.prepareToSleep(wish, at: place?.place)
        if hasNews() { return .ready }
        let limit = isSure ? limit : min(limit ?? SleepWish.doubtfulSleep, SleepWish.doubtfulSleep)
        let timer = limit.map { limit in loop.call(after: limit) { slot.resume(.ready) } }
        waiters.append(slot)
        let outcome = await slot.wait()
        waiters.removeAll { $0 === slot }
        timer?.cancel()
        return outcome
    }

    private func observeStop() {
        if stop?.isCurrent == true { return }
        // Looked up on the loop: nothing but that thread may release it.
        let entry = Entry(listener: self)
        stop = loop.onStop { [loop] in loop.execute { entry.listener?.wakeAll() } }
    }

    /// One of the two bells rang. Others are woken before the tasks of this process, whose work may take long.
    func rang() {
        table.passOn()
        wakeAll()
    }

    private func wakeAll() {
        for slot in waiters { slot.resume(.ready) }
    }
}
