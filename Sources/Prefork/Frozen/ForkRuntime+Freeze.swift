// Freezing: memory that stays shared between the processes of a pool, although they read it.

import PreforkSupervisor
package import PreforkSystem
import Synchronization

extension ForkRuntime {
    /// Freezes a value: all workers share its memory, and reading it copies nothing.
    ///
    /// ```swift
    /// let cities = try runtime.freeze(try loadCities())     // [String: City]
    /// try runtime.run { worker in
    ///     try await listener.serve { connection in ... cities[name] ... }
    /// }
    /// ```
    ///
    /// Swift counts references in the objects themselves. A worker that reads a string of a dictionary counts it, which
    /// is a write, and the kernel copies the page for this worker. `freeze` makes the storages of the value, of its
    /// elements, and of all that `Freezable` types name immortal, as the program's constants are. They are counted no
    /// more and never freed.
    ///
    /// To be called in the program's main process, before `run`, before anything starts a thread. The value that is given
    /// and the one that is returned are the same: all copies of it are frozen. Changing a copy of a frozen container first
    /// copies the container, as if another copy of it were in use. A frozen object of a class can be changed, and a
    /// worker that changes it copies its page. `isKnownUniquelyReferenced` is false for a frozen object.
    ///
    /// Objects to which a weak reference was made before are left as they are, and what they refer to is frozen. A weak
    /// reference that is made later leaves the object immortal. What is frozen in `onReload` serves the workers of the
    /// next generation, and what was frozen before is not freed.
    ///
    /// At its first use it compares how this runtime counts references with what it expects. Where it finds something else,
    /// in a future version of Swift, it writes one warning to the log, and returns each value as it is.
    ///
    /// See <doc:SharedMemory> for what else stays shared, with figures.
    ///
    /// - Throws: `FreezeError`: `.multithreaded` or `.alreadyForked`. Nothing is frozen then.
    @discardableResult
    @inlinable
    public func freeze<Value: Freezable>(_ value: Value) throws(FreezeError) -> Value {
        try freezing { freezer in freezer.freeze(value) }
        return value
    }

    /// The same for a value whose type is not `Freezable`: a tuple, or a type of another module.
    ///
    /// ```swift
    /// let routes: [(pattern: String, names: [String])] = loadRoutes()
    /// try runtime.freeze(routes) { routes, freezer in
    ///     freezer.freeze(routes) { route, freezer in
    ///         freezer.freeze(route.pattern)
    ///         freezer.freeze(route.names)
    ///     }
    /// }
    /// ```
    ///
    /// - Parameter contents: hands what the value stores to the freezer. Called once, or not at all where freezing is
    ///   turned off.
    /// - Throws: as `freeze(_:)`.
    @discardableResult
    @inlinable
    public func freeze<Value>(
        _ value: Value, contents: (Value, inout Freezer) -> Void
    ) throws(FreezeError) -> Value {
        try freezing { freezer in contents(value, &freezer) }
        return value
    }

    @usableFromInline
    func freezing(_ walk: (inout Freezer) -> Void) throws(FreezeError) {
        try freezing(where: .observed, walk)
    }

    /// - Parameter layout: how this process's runtime counts references.
    /// - Returns: how many objects were made immortal.
    @discardableResult
    package func freezing(where layout: ObjectLayout, _ walk: (inout Freezer) -> Void) throws(FreezeError) -> Int {
        guard ForkCount.isFirst else { throw FreezeError(.alreadyForked) }
        let threads = threadCount()
        guard threads == 1 else { throw FreezeError(.multithreaded(threads: threads)) }
        if let problem = layout.problem {
            warnOnce("freeze is turned off, because this Swift runtime is not the expected one: \(problem)")
            return 0
        }
        var freezer = Freezer()
        walk(&freezer)
        freezer.finish()
        return freezer.objectCount
    }

    private func warnOnce(_ text: String) {
        guard !hasWarned.exchange(true, ordering: .relaxed) else { return }
        if let log { log(LogLine(.warning, text)) } else { StandardErrorLines.say("warning", text, by: "freeze") }
    }
}

private let hasWarned = Atomic<Bool>(false)
