// The series of all processes of a pool, by number.

import PreforkSystem

/// Which series there are, and where the sums of each lie. A value beside `MetricSums`, whose order it follows.
struct MetricTable {
    struct Entry {
        let description: MetricDescription
        /// When the first process made it, in seconds since 1970.
        let created: Double
        /// The first of its words among the sums.
        let value: Int
        /// Another series has its name now.
        var isDead = false
        let place: Int
    }

    /// Of the sum of refused series.
    static let refusedValue = 0

    private(set) var entries: [Entry] = []
    private var numbers: [MetricDescription.Key: Int] = [:]
    private var families = MetricFamilies()
    private var samples = 0
    /// No series' sums are there or behind it.
    private(set) var nextValue = 1
    /// Changes whenever an entry comes or goes.
    private(set) var version = 0

    enum Refusal: Error {
        /// Another series has the name.
        case conflict(String)
        case full
    }

    /// Of sums that hold nothing yet.
    init() {}

    /// - Returns: nil if the sums hold something else than a supervisor has written.
    init?(_ sums: MetricSums) {
        guard let all = sums.entries() else { return nil }
        for entry in all {
            guard add(entry.description, entry.created, at: entry.place, isDead: entry.isDead) else { return nil }
        }
    }

    private mutating func add(
        _ description: MetricDescription, _ created: Double, at place: Int, isDead: Bool
    ) -> Bool {
        let words = description.kind.sumWords
        guard nextValue + words <= MetricSums.mostValues, entries.count < 0xFF_FFFF else { return false }
        entries.append(
            Entry(description: description, created: created, value: nextValue, isDead: isDead, place: place))
        nextValue += words
        version += 1
        if isDead { return true }
        guard numbers[description.key] == nil, (try? families.check(description)) != nil else { return false }
        families.add(description)
        numbers[description.key] = entries.count - 1
        samples += description.kind.samples
        return true
    }

    /// The number of a series, which gets one if it is new.
    ///
    /// - Parameter isProgram: the program itself has made it, before the fork: a series of the same name and another form
    ///   is one of an earlier version of the program, and goes.
    /// - Returns: nil if the limit is reached or another series has its name.
    mutating func number(
        of description: MetricDescription, isProgram: Bool, in sums: MetricSums
    ) throws(Refusal) -> Int {
        if let number = numbers[description.key], entries[number].description.kind == description.kind { return number }
        do throws(MetricError) {
            try families.check(description)
        } catch {
            guard isProgram else { throw .conflict("\(error)") }
            for number in entries.indices where entries[number].description.name == description.name {
                kill(number, in: sums)
            }
            do throws(MetricError) { try families.check(description) } catch { throw .conflict("\(error)") }
        }
        guard let number = add(description, created: Double(WallClock.milliseconds) / 1_000, in: sums) else {
            throw .full
        }
        return number
    }

    /// Adds a series that conflicts with no other.
    ///
    /// - Returns: nil if the limit is reached.
    mutating func add(_ description: MetricDescription, created: Double, in sums: MetricSums) -> Int? {
        let place = sums.entryBytes
        guard samples + description.kind.samples <= MetricLayout.mostSamples,
            nextValue + description.kind.sumWords <= MetricSums.mostValues,
            sums.append(description, created: created)
        else { return nil }
        _ = add(description, created, at: place, isDead: false)
        return entries.count - 1
    }

    func contains(_ description: MetricDescription) -> Bool { numbers[description.key] != nil }

    private mutating func kill(_ number: Int, in sums: MetricSums) {
        let entry = entries[number]
        guard !entry.isDead else { return }
        sums.kill(at: entry.place)
        entries[number].isDead = true
        numbers[entry.description.key] = nil
        families.remove(entry.description)
        samples -= entry.description.kind.samples
        version += 1
    }
}

extension MetricKind {
    /// Words among the sums of the dead: their gauges are gone.
    var sumWords: Int {
        switch self {
        case .counter: 1
        case .gauge: 0
        case .histogram: words
        }
    }
}
