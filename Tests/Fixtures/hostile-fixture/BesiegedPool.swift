// The pool's program as the judge sees it: its process, its folder, its log, what it leaves behind.

import PreforkFixtureSupport
import PreforkSystem

final class BesiegedPool {
    let folder: String
    let port: UInt16
    let metricsPort: UInt16
    let pid: Int32
    let asker: StatusAsker
    private let output: PoolOutput
    private let logsToFile: Bool
    private var unread: [UInt8] = []
    private(set) var tail: [String] = []
    private(set) var log = LogCount()
    private var end: Int32?
    var stoppedForGood = 0
    /// Orders for new workers where one ended with exit code 0.
    var refills = 0
    /// Honest workers whose ends were counted.
    var knownDeaths: Set<Int64> = []

    struct LogCount {
        var lines = 0
        var mostInASecond = 0
        /// Of what children wrote themselves, which the supervisor bounds in bytes.
        var mostCapturedInASecond = 0
        var capturedInSecond = 0
        /// Lines of the log's file that are none.
        var strange = 0
        var strangest = ""
        var bytes = 0
        var second = MonotonicInstant.now
        var inSecond = 0
    }

    /// - Parameter logsToFile: or else to standard error, which is a pipe that all processes of the pool share.
    init(user: UserAccount, logsToFile: Bool, receives: Bool) throws {
        var template = Array("/tmp/hostile-XXXXXX".utf8CString)
        require(mkdtemp(&template) != nil, "mkdtemp: errno \(errno)")
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        chmod(folder, 0o755)
        mkdir("\(folder)/tell", 0o1777)
        chmod("\(folder)/tell", 0o1777)
        Order.quiet.write(in: folder)
        let canary = open("\(folder)/canary", O_CREAT | O_WRONLY | O_CLOEXEC, 0o600)
        _ = write(canary, "canary", 6)
        close(canary)
        // A path of its own: by it the pool's processes are found, wherever they have gone.
        let program = "\(folder)/hostile-pool"
        let own = ProgramFiles.own
        if link(own, program) != 0 { require(ProgramFiles.copy(own, to: program), "no copy of \(own)") }
        port = FreePort.find()
        metricsPort = FreePort.find()
        asker = StatusAsker("\(folder)/control")
        self.logsToFile = logsToFile
        var ends: [Int32] = [0, 0]
        require(pipe(&ends) == 0, "pipe: errno \(errno)")
        // The judge has one thread at this moment.
        for number in ends { _ = fcntl(number, F_SETFD, FD_CLOEXEC) }
        output = PoolOutput(ends[0])
        var environment = [
            "PATH=/usr/bin:/bin", "PREFORK_CONTROL=\(folder)/control", "PREFORK_PID_FILE=\(folder)/pid",
            "PREFORK_USER=\(user.name)", "PREFORK_NO_NEW_PRIVILEGES=1", "SWIFT_BACKTRACE=enable=no", "PREFORK_PROBATION=0",
            "PREFORK_SPARES=0",
        ]
        if logsToFile { environment.append("PREFORK_LOG_FILE=\(folder)/log") }
        environment.append("PREFORK_METRICS=127.0.0.1:\(metricsPort)")
        let arguments = [
            program, "serve", "folder=\(folder)", "port=\(port)", "witness=\(getpid())", "user=\(user.uid)",
            "receives=\(receives ? 1 : 0)",
        ]
        pid = try spawnSession(program, arguments, environment, output: ends[1])
        asker.supervisor = pid
        close(ends[1])
        try output.begin()
    }

    deinit {
        killLeftovers()
        if end == nil { waitpid(pid, nil, 0) }
        for name in DirectoryListing.names("\(folder)/tell") { unlink("\(folder)/tell/\(name)") }
        for name in DirectoryListing.names(folder) where unlink("\(folder)/\(name)") != 0 { rmdir("\(folder)/\(name)") }
        rmdir(folder)
    }

    /// The supervisor's end: its exit code, or minus the signal. Nil while it lives.
    func checkEnd() -> Int32? {
        if end != nil { return end }
        var status: Int32 = 0
        guard waitpid(pid, &status, WNOHANG) == pid else { return nil }
        end = status & 0x7F == 0 ? (status >> 8) & 0xFF : -(status & 0x7F)
        return end
    }

    /// What the supervisor is about, for a judge who waits for it: whether it runs, waits for a processor, or sleeps.
    var supervisorActivity: String {
        let files = ["wchan", "syscall", "schedstat"].map { name in
            "\(name) \(ProcText.read("/proc/\(pid)/\(name)"))"
        }
        let state = ProcText.read("/proc/\(pid)/stat").split(separator: ")").last?.prefix(2) ?? ""
        return "state\(state), \(files.joined(separator: ", ")), load \(ProcText.read("/proc/loadavg"))"
    }

    /// Takes what the pool has written since.
    func drain() {
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        unread += output.take()
        if logsToFile { readLogFile(&chunk) }
        guard !logsToFile else { return unread.removeAll() }
        while let end = unread.firstIndex(of: UInt8(ascii: "\n")) {
            count(String(decoding: unread[..<end], as: UTF8.self))
            unread.removeSubrange(...end)
        }
    }

    private var logOffset = 0

    /// The file is the supervisor's alone: every line of it is one of the log, without control characters.
    private func check(_ lines: ArraySlice<UInt8>) {
        for line in lines.split(separator: UInt8(ascii: "\n")) {
            let text = String(decoding: line, as: UTF8.self)
            let isWhole = text.hasPrefix("20") && text.contains("Z prefork[")
            if !isWhole || line.contains(where: { $0 < 0x20 || $0 == 0x7F }) {
                log.strange += 1
                log.strangest = text
            }
        }
        log.bytes += lines.count
    }

    private func readLogFile(_ chunk: inout [UInt8]) {
        let file = open("\(folder)/log", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        defer { close(file) }
        while case let count = pread(file, &chunk, chunk.count, logOffset), count > 0 {
            // Each line is written in one step, so that later output begins with a line.
            guard let end = chunk[..<count].lastIndex(of: UInt8(ascii: "\n")) else { return }
            logOffset += end + 1
            check(chunk[...end])
            for line in chunk[...end].split(separator: UInt8(ascii: "\n")) {
                self.count(String(decoding: line, as: UTF8.self))
            }
        }
    }

    private func count(_ line: String) {
        if MonotonicInstant.now - log.second > .seconds(1) {
            (log.second, log.inSecond, log.capturedInSecond) = (.now, 0, 0)
        }
        let isPlain = line.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F && $0.value != 0xFFFD }
        tail.append(isPlain ? line : String(line.map { $0.isASCII && !$0.isNewline && $0 >= " " ? $0 : "?" }))
        if tail.count > 400 { tail.removeFirst(200) }
        // Standard error is the hostile processes', too, and what they write there is no log.
        guard line.contains(" prefork[\(pid)]") else { return }
        // A line of a child's: `worker 3 (pid 12): text`.
        if line.contains("): "), line.contains(" (pid ") {
            log.capturedInSecond += line.utf8.count
            log.mostCapturedInASecond = max(log.mostCapturedInASecond, log.capturedInSecond)
            return
        }
        log.lines += 1
        log.inSecond += 1
        log.mostInASecond = max(log.mostInASecond, log.inSecond)
    }

    /// What hostile processes could do that the kernel should have refused.
    func findings() -> [String] {
        DirectoryListing.names("\(folder)/tell").flatMap { name in
            defer { unlink("\(folder)/tell/\(name)") }
            return ((try? SmallFile.read("\(folder)/tell/\(name)")) ?? "").split(separator: "\n").map(String.init)
        }
    }

    var descriptors: Int { DirectoryListing.names("/proc/\(pid)/fd").count }

    /// Resident memory of the supervisor that is its own, in KiB: shared memory counts when a process writes to it.
    var memory: Int {
        let status = (try? SmallFile.read("/proc/\(pid)/status")) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("RssAnon:") } ?? ""
        return Int(line.split(whereSeparator: { !$0.isNumber }).first ?? "") ?? 0
    }

    /// What the supervisor has had of the processors, in milliseconds (proc(5), in hundredths of a second).
    var processorTime: Int {
        let text = (try? SmallFile.read("/proc/\(pid)/stat")) ?? ""
        let words = text.split(separator: ")").last?.split(separator: " ") ?? []
        return words.count > 13 ? 10 * ((Int(words[11]) ?? 0) + (Int(words[12]) ?? 0)) : 0
    }

    /// Where the pool's processes are in the kernel at this moment, a line for each (proc(5)).
    func whereabouts() -> [String] {
        ([pid] + others).map { process in
            func text(_ name: String) -> String {
                ((try? SmallFile.read("/proc/\(process)/\(name)")) ?? "").split(separator: "\n").first.map(String.init) ?? ""
            }
            let call = text("syscall").split(separator: " ").prefix(3)
            let object = call.count > 1 ? Int(call[1].dropFirst(2), radix: 16) ?? -1 : -1
            var target = [CChar](repeating: 0, count: 256)
            _ = readlink("/proc/\(process)/fd/\(object)", &target, 255)
            let name = String(decoding: target.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            return "\(process) \(state(of: process)) \(text("wchan")) \(call.joined(separator: " ")) \(name)"
        }
    }

    /// Ends what has stopped itself where nothing else does.
    func killStopped() -> Int {
        let stopped = others.filter { state(of: $0) == "T" }
        stopped.forEach { kill($0, SIGKILL) }
        return stopped.count
    }

    /// The pool's living processes, without the supervisor.
    var others: [Int32] {
        DirectoryListing.names("/proc").compactMap { Int32($0) }.filter { other in
            guard other != pid, other != getpid() else { return false }
            var target = [CChar](repeating: 0, count: 512)
            return readlink("/proc/\(other)/exe", &target, 511) > 0 && strncmp(target, folder, folder.utf8.count) == 0
        }
    }

    func killLeftovers() {
        if end == nil { kill(pid, SIGKILL) }
        for _ in 0..<100 {
            let left = others
            if left.isEmpty { return }
            left.forEach { kill($0, SIGKILL) }
            usleep(10_000)
        }
    }

    func isCanaryUntouched() -> Bool {
        var status = stat()
        return stat("\(folder)/canary", &status) == 0 && status.st_mode & 0o7777 == 0o600 && status.st_uid == 0
            && (try? SmallFile.read("\(folder)/canary")) == "canary"
    }
}
