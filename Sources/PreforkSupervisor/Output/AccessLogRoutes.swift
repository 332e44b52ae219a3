// How workers get the access log, and the new file when it was reopened.

import PreforkSystem

/// The way of one worker, made before its fork: what the supervisor sends comes out at the worker's end.
struct AccessLogRoute {
    let log: Int32
    let form: AccessLog.Form
    let supervisorEnd: Int32
    let workerEnd: Int32

    /// - Throws: socketpair's error, where no descriptor is left.
    init(log: Int32, _ form: AccessLog.Form) throws(SystemError) {
        let ends = try PacketPair.makeOneWay()
        self.log = log
        self.form = form
        supervisorEnd = ends.sending
        workerEnd = ends.receiving
    }

    /// In the worker.
    func enter() {
        closeDescriptor(supervisorEnd)
        DescriptorHolders.keep(HeldDescriptor(.accessLogNews, workerEnd))
        AccessLog.begin(on: log, form)
        AccessLogNews.listen(at: workerEnd)
    }

    func close() { closeDescriptors([supervisorEnd, workerEnd]) }
}

/// The supervisor's ends, by the workers' spawns.
struct AccessLogRoutes {
    private var ends: [UInt64: Int32] = [:]

    var numbers: [Int32] { Array(ends.values) }

    func has(_ spawn: UInt64) -> Bool { ends[spawn] != nil }

    /// In the supervisor, after the fork.
    mutating func add(_ route: AccessLogRoute, of spawn: UInt64) {
        closeDescriptor(route.workerEnd)
        ends[spawn] = route.supervisorEnd
    }

    mutating func rename(_ spawn: UInt64, to other: UInt64) { ends[other] = ends.removeValue(forKey: spawn) }

    /// Nothing ever waits at the supervisor's end, so closing it does not wait either.
    mutating func remove(_ spawn: UInt64) {
        if let end = ends.removeValue(forKey: spawn) { closeDescriptor(end) }
    }

    /// Sends the new file to all workers, without waiting for any.
    ///
    /// - Returns: the workers that go on in the old file, and why.
    func send(_ log: Int32) -> [(spawn: UInt64, reason: String)] {
        var failures: [(UInt64, String)] = []
        for (spawn, end) in ends.sorted(by: { $0.key < $1.key }) {
            do throws(SystemError) {
                let isSent = try withUnsafeBytes(of: UInt64(1)) { (bytes) throws(SystemError) in
                    try DescriptorPassing.send(bytes, passing: [log], to: end)
                }
                if !isSent { failures.append((spawn, "it does not take what was sent before")) }
            } catch {
                // It has ended, and is reaped next.
                if [.brokenPipe, .connectionReset].contains(error.errno) { continue }
                failures.append((spawn, "\(error)"))
            }
        }
        return failures
    }
}
