// The metrics of all processes of a pool, in their supervisor.

package import PreforkSystem

/// Gives each forked child a line to count on, adds up all lines for a page, and keeps what the dead have counted.
///
/// There is one for each process that supervises: for its workers and its managed processes.
package final class MetricsHub: @unchecked Sendable {
    // Sendable: used on the one thread of the process that supervises. A forked child has a copy that it leaves alone.
    static let handoverKind = "metrics"

    /// Proof of `nonisolated(unsafe)`: set and used on the one thread of a process that supervises. A forked child has
    /// a copy that it does not use (`isOwned`).
    nonisolated(unsafe) private static var shared: MetricsHub?

    private let owner = ForkCount.current
    let lines: MetricLines
    let sums: MetricSums
    private(set) var table: MetricTable
    /// As `sums` has them.
    private var retired: [UInt64]
    /// By line.
    private var states: [Int: LineState] = [:]
    private var numbers: [Int32: Int] = [:]
    private var nextFree = MetricLines.own + 1
    /// The layout of this image: where it begins, how many series it has, and how long it may get.
    private let layoutStart: Int
    private let layoutEnd: Int
    private var known = 0
    private var plans: [PlanKey: MetricPlan] = [:]
    /// The one that was used last: most processes know the same series.
    private var lastPlan: (key: PlanKey, plan: MetricPlan)?
    private var planVersion = 0
    private var hasTold = false
    let countsItself: Bool
    /// Takes what an operator must know. Set before the first fork.
    var tell: (LogLine) -> Void = { _ in }
    private let page = MetricPage()

    /// A line in use. An object, since a page looks at a thousand of them.
    private final class LineState {
        var line: MetricSums.Line
        /// Series that its process has made itself, read so far.
        var late: MetricPlan?
        var lateBytes = 0
        var lateSeries: [(entry: Int?, words: Int)] = []
        var version = 0

        init(line: MetricSums.Line) { self.line = line }
    }

    private struct PlanKey: Hashable {
        let layout: Int
        let known: Int
    }

    /// This process's own. It is made at the first call.
    ///
    /// - Returns: nil if there is no memory for it: then nothing is added up.
    static var current: MetricsHub? {
        if let shared, shared.isOwned { return shared }
        // A child's copy is leaked: to free it would unmap what is mapped there by now.
        if let shared { _ = Unmanaged.passRetained(shared) }
        shared = try? MetricsHub.open()
        return shared
    }

    /// With what the previous image has left, if it has left anything.
    private static func open() throws(SystemError) -> MetricsHub {
        let left = Handover.isTrial ? nil : Handover.take(handoverKind, key: "")
        let countsItself = !MetricRegistry.isChild
        let hub =
            if let memory = inherited(left) {
                try MetricsHub(memory, countsItself: countsItself)
            } else if !Handover.isTrial, let memory = stored() {
                try MetricsHub(memory, countsItself: countsItself)
            } else {
                try MetricsHub((MetricLines(), MetricSums(), MetricTable()), countsItself: countsItself)
            }
        _ = Handover.offer(
            HandoverItem(
                kind: handoverKind, key: "",
                descriptors: [hub.lines.file.descriptor.number, hub.sums.file.descriptor.number]))
        DescriptorHolders.add(hub)
        ReapedChildren.observe { [unowned hub] pid in
            if hub.isOwned { hub.ended(pid) }
        }
        return hub
    }

    /// In seconds since 1970.
    var created: Double { sums.created }

    /// What the supervisor keeps here beside the sums.
    var note: [UInt8] {
        get { sums.note }
        set { sums.note = newValue }
    }

    private var isOwned: Bool { owner == ForkCount.current }

    /// A hub of its own memory, which no other image takes over and of which nothing is collected by itself.
    package convenience init() throws(SystemError) {
        try self.init((MetricLines(), MetricSums(), MetricTable()), countsItself: false)
    }

    /// - Parameters:
    ///   - memory: new, or of the previous supervisor.
    ///   - countsItself: this process counts on a line from here on.
    init(_ memory: (MetricLines, MetricSums, MetricTable), countsItself: Bool) throws(SystemError) {
        (lines, sums, table) = memory
        BuiltInMetrics.make()
        self.countsItself = countsItself
        retired = []
        let highest = min(Int(clamping: sums[head: MetricSums.Word.lineCount]), lines.count)
        let used = (0..<highest).filter { [sums] in sums.line($0).pid != 0 }
        let begins = used.filter { $0 != MetricLines.own }.map { [sums] in sums.line($0).layout }.min()
        let end = min(Int(clamping: sums[head: MetricSums.Word.layoutCount]), MetricSums.layoutCapacity)
        // Layouts of processes that live stay. What comes before the first of them is free again.
        switch begins {
        case nil: (layoutStart, layoutEnd) = (0, MetricSums.layoutCapacity)
        case .some(let first) where first > MetricSums.layoutCapacity / 2: (layoutStart, layoutEnd) = (0, first)
        case .some: (layoutStart, layoutEnd) = (end, MetricSums.layoutCapacity)
        }
        lines.keepWhole(true)
        try lines.map(MetricLines.own)
        for line in used { try lines.map(line) }
        sums.finishCommit(lines.clear)
        retired = (0..<table.nextValue).map(sums.value)
        for line in used { inherit(line) }
        if countsItself { try lines.enterOwn() }
        sync()
    }

    /// What the previous image has left. If nil, nothing, or something of another form.
    private static func inherited(_ item: HandoverItem?) -> (MetricLines, MetricSums, MetricTable)? {
        guard let item, item.descriptors.count == 2, let lines = try? MetricLines(inherited: item.descriptors[0]),
            let sums = try? MetricSums(inherited: item.descriptors[1]), let table = MetricTable(sums)
        else { return nil }
        return (lines, sums, table)
    }

    private static let storedLines = InheritedDescriptors.storedPrefix + "metric-lines"
    private static let storedSums = InheritedDescriptors.storedPrefix + "metric-sums"

    var descriptorsToStore: [(name: String, number: Int32)] {
        [(Self.storedLines, lines.file.descriptor.number), (Self.storedSums, sums.file.descriptor.number)]
    }

    /// What the previous run of the service has left with its manager: all of its processes are over, and their shares
    /// are added. Any process that may speak to the manager can have put it there, and still have it open. So the sums
    /// are copied into new memory, as far as they make sense.
    private static func stored() -> (MetricLines, MetricSums, MetricTable)? {
        guard let first = InheritedDescriptors.takeStored(storedLines) else { return nil }
        let descriptors = [first, InheritedDescriptors.takeStored(storedSums)].compactMap { $0 }
        let item = HandoverItem(kind: handoverKind, key: "", descriptors: descriptors)
        guard descriptors.count == 2, let memory = inherited(item),
            let old = try? MetricsHub(memory, countsItself: false), let lines = try? MetricLines(),
            let sums = try? MetricSums()
        else { return nil }
        sums[head: MetricSums.Word.created] = max(0, min(old.created, sums.created)).bitPattern
        sums.note = old.sums.note
        var table = MetricTable()
        sums.setValue(old.retired[MetricTable.refusedValue], MetricTable.refusedValue)
        for entry in old.table.entries where !entry.isDead {
            guard let number = table.add(entry.description, created: entry.created, in: sums) else { continue }
            let place = table.entries[number].value
            for index in 0..<entry.description.kind.sumWords {
                sums.setValue(old.retired[entry.value + index], place + index)
            }
        }
        return (lines, sums, table)
    }

    /// Takes over a line of the previous image. Its process may be gone already: the previous image had no time to see
    /// that, or was itself the process.
    private func inherit(_ number: Int) {
        let line = sums.line(number)
        guard line.pid != 0 else { return }
        states[number] = LineState(line: line)
        if number != MetricLines.own, ChildProcess.isChild(line.pid) {
            numbers[line.pid] = number
        } else {
            fold(number)
        }
    }

    // Lines

    /// A line for a child that is forked next, or nil if none is free.
    package func takeLine(for name: String) -> Int? {
        guard isOwned else { return nil }
        sync()
        var number = nextFree
        while number < lines.count, states[number] != nil { number += 1 }
        guard number < lines.count, (try? lines.map(number)) != nil else { return nil }
        nextFree = number + 1
        if sums[head: MetricSums.Word.lineCount] < UInt64(nextFree) {
            sums[head: MetricSums.Word.lineCount] = UInt64(nextFree)
        }
        // A supervisor that is killed before it knows the child's number leaves its own, which is no child's.
        let line = MetricSums.Line(pid: CurrentProcess.pid, known: known, layout: layoutStart, name: name)
        sums.setLine(number, line)
        states[number] = LineState(line: line)
        return number
    }

    /// The child was forked.
    package func began(_ number: Int, pid: Int32) {
        guard let state = states[number] else { return }
        state.line.pid = pid
        sums.setLine(number, state.line)
        numbers[pid] = number
    }

    /// The child has another name from here on.
    func rename(_ pid: Int32, to name: String) {
        guard let number = numbers[pid], let state = states[number] else { return }
        state.line.name = name
        sums.setLine(number, state.line)
    }

    /// It was not.
    func cancel(_ number: Int) {
        states[number] = nil
        nextFree = max(MetricLines.own + 1, min(nextFree, number))
        sums.freeLine(number)
    }

    /// In the child, before the program's code. The supervisor's other lines and sums are not mapped any more.
    ///
    /// - Parameter number: if nil, no line was free: the child counts, and nothing adds it up.
    package func enterChild(_ number: Int?) throws(SystemError) {
        try lines.enter(number)
        MetricRegistry.enterChild()
    }

    /// A process was collected. What it has counted is added to the sums of the dead.
    func ended(_ pid: Int32) {
        if let number = numbers.removeValue(forKey: pid) { fold(number) }
    }

    private func fold(_ number: Int) {
        readDescriptions(of: number, all: true)
        growRetired()
        var values = retired
        if let state = states[number] { add(state, at: lines.base(number), plan(of: state.line), to: &values) }
        let changes = values.indices.lazy.filter { values[$0] != self.retired[$0] }.map { (index: $0, value: values[$0]) }
        sums.commit(Array(changes), line: number, clear: lines.clear)
        retired = values
        cancel(number)
    }

    /// For series that have come meanwhile.
    private func growRetired() {
        let missing = table.nextValue - retired.count
        if missing > 0 { retired += [UInt64](repeating: 0, count: missing) }
    }

    // Series

    /// Learns which series this process has made meanwhile. Before each fork, each page, and the end of this image.
    func sync() {
        guard isOwned else { return }
        for description in MetricRegistry.series(from: known) {
            guard layoutStart + known < layoutEnd else { break }
            var entry: Int?
            do throws(MetricTable.Refusal) {
                entry = try table.number(of: description, isProgram: true, in: sums)
            } catch {
                refuse(description, error)
            }
            sums.setLayout(layoutStart + known, entry: entry ?? Self.noEntry, words: description.kind.words)
            known += 1
        }
        let end = max(Int(clamping: sums[head: MetricSums.Word.layoutCount]), layoutStart + known)
        sums[head: MetricSums.Word.layoutCount] = UInt64(end)
        guard countsItself else { return }
        let line = MetricSums.Line(
            pid: CurrentProcess.pid, known: known, layout: layoutStart, name: "supervisor")
        if states[MetricLines.own]?.line != line {
            states[MetricLines.own] = LineState(line: line)
            sums.setLine(MetricLines.own, line)
        }
    }

    private static let noEntry = 0xFF_FFFF
    /// Bytes of descriptions that a page reads of one process. The rest waits for the next page.
    private static let descriptionsForPage = 1 << 16

    /// Reads which series a process has made after its fork.
    private func readDescriptions(of number: Int, all: Bool = false) {
        guard let state = states[number], number != MetricLines.own else { return }
        if lines.descriptionsLength(number) <= state.lateBytes, state.late == nil || state.version == table.version {
            return
        }
        let limit = all ? MetricLayout.descriptionsCapacity : Self.descriptionsForPage
        let bytes = lines.descriptions(number, from: state.lateBytes, limit: limit)
        let (descriptions, length) = MetricDescription.records(bytes)
        state.lateBytes += length
        var isBroken = state.late?.isBroken == true || bytes.count - length >= MetricDescription.bytesLimit
        for description in descriptions where !isBroken {
            guard let description else {
                isBroken = true
                break
            }
            state.lateSeries.append((entry(ofChild: description), description.kind.words))
        }
        var plan = MetricPlan(from: plan(of: state.line).nextCell)
        for series in state.lateSeries { plan.add(series.entry, words: series.words, table) }
        if isBroken { plan.breakOff() }
        state.late = plan
        state.version = table.version
    }

    /// The pool's own names are the supervisor's to make.
    private func entry(ofChild description: MetricDescription) -> Int? {
        do throws(MetricTable.Refusal) {
            if description.name.hasPrefix("prefork_"), !table.contains(description) {
                throw MetricTable.Refusal.conflict("the pool's own metrics")
            }
            return try table.number(of: description, isProgram: false, in: sums)
        } catch {
            refuse(description, error)
            return nil
        }
    }

    private func refuse(_ description: MetricDescription, _ refusal: MetricTable.Refusal) {
        growRetired()
        retired[MetricTable.refusedValue] &+= 1
        sums.setValue(retired[MetricTable.refusedValue], MetricTable.refusedValue)
        let reason =
            switch refusal {
            case .conflict(let text): "metric \(description.name) of a worker conflicts with another one: \(text)"
            case .full: "more than \(MetricLayout.mostSamples) samples of metrics: the rest is left out"
            }
        tellOnce(reason)
    }

    private func tellOnce(_ text: String) {
        if hasTold { return }
        hasTold = true
        tell(LogLine(.warning, "\(text) (prefork_refused_series_total counts such series)"))
    }

    // Adding up

    private func plan(of line: MetricSums.Line) -> MetricPlan {
        if planVersion != table.version {
            plans = [:]
            lastPlan = nil
            planVersion = table.version
        }
        let key = PlanKey(layout: line.layout, known: line.known)
        if let lastPlan, lastPlan.key == key { return lastPlan.plan }
        if let plan = plans[key] {
            lastPlan = (key, plan)
            return plan
        }
        var plan = MetricPlan()
        for index in line.layout..<line.layout + line.known {
            let (entry, words) = sums.layout(index)
            plan.add(entry == Self.noEntry ? nil : entry, words: words, table)
        }
        plans[key] = plan
        return plan
    }

    private func add(
        _ state: LineState, at base: UnsafeMutableRawPointer, _ plan: MetricPlan, to values: inout [UInt64]
    ) {
        plan.add(base, to: &values)
        state.late?.add(base, to: &values)
        values[MetricTable.refusedValue] &+= MetricLines.load(base, 0)
    }

    /// Appends all series, with what every process has counted.
    package func writePage(_ format: MetricFormat, to text: inout [UInt8]) {
        let totals = totals(withExemplars: format == .openMetrics)
        page.write(totals, table, format, to: &text)
    }

    /// The sums of all processes, the dead included.
    func totals(withExemplars: Bool = false) -> MetricTotals {
        sync()
        let all = states.keys.sorted()
        for number in all { readDescriptions(of: number) }
        growRetired()
        var totals = MetricTotals(values: retired)
        for number in all {
            guard let state = states[number] else { continue }
            let (base, plan) = (lines.base(number), plan(of: state.line))
            add(state, at: base, plan, to: &totals.values)
            plan.addGauges(base, of: state.line.name, to: &totals)
            state.late?.addGauges(base, of: state.line.name, to: &totals)
            guard withExemplars else { continue }
            plan.addExemplars(base, to: &totals)
            state.late?.addExemplars(base, to: &totals)
        }
        if totals.values[MetricTable.refusedValue] > 0 {
            tellOnce("more than \(MetricLayout.mostSamples) samples of metrics: the rest is left out")
        }
        return totals
    }
}

extension MetricsHub: DescriptorHolder {
    var heldDescriptors: [HeldDescriptor] {
        [
            HeldDescriptor(.metrics, lines.file.descriptor.number),
            HeldDescriptor(.metrics, sums.file.descriptor.number),
        ]
    }
}
