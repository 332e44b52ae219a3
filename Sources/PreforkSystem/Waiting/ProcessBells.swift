// The bells by which the processes of one supervisor are woken one by one.

/// One bell for each place of a supervisor, made before the first fork: every child has all of them, and sleeps at one.
///
/// A bell that all processes share wakes all of them within one system call of the process that rings, which takes it
/// some ten microseconds for each sleeper. With a bell for each, a process that has news rings for two, and each of
/// these rings for the next ones (`StoreTable.passOn`).
///
/// A place is a hint and no right. Two processes may have the same place: then one ring wakes both. A child that another
/// supervisor has forked, or an older image of this one, has other bells and another `identity`.
package struct ProcessBells: Sendable {
    /// Where a process sleeps.
    package struct Place: Sendable {
        /// The `identity` of the bells that it is one of.
        package let bells: UInt64
        /// One bit: the number of the place.
        package let bit: UInt64
        /// The bell's descriptor, to be watched edge-triggered. It is never cleared.
        package let number: Int32
    }

    /// Never 0.
    package let identity: UInt64
    package let numbers: [Int32]

    /// A word of shared memory has one bit for each place.
    private static let most = 64
    /// With so few processes, the shared bell does as well: a writer wakes no more than two others.
    private static let enough = 3

    // Proof of both: written by the only thread of a supervisor before its first fork, and by the only thread of a
    // freshly forked child before it runs any code of the program.
    private nonisolated(unsafe) static var made: ProcessBells?
    private nonisolated(unsafe) static var taken: Place?

    /// Those that this process has. Nil in a program without a supervisor, and with few processes.
    package static var current: ProcessBells? { made }

    /// This process's own. Nil where there are no bells.
    package static var ownPlace: Place? { taken }

    /// How many descriptors a supervisor has for it.
    ///
    /// - Parameter processes: its children and itself.
    package static func count(for processes: Int) -> Int { processes > enough ? min(processes, most) : 0 }

    /// In a supervisor, before its first fork. Without descriptors for all of them, there are none: then sleepers share
    /// one bell. A supervisor within a child keeps the bells of the one above it.
    package static func make(for processes: Int) {
        let count = count(for: processes)
        guard !Family.isMember, count > made?.numbers.count ?? 0 else { return }
        var numbers: [Int32] = []
        for _ in 0..<count {
            do throws(SystemError) {
                numbers.append(try Bell().release())
            } catch {
                for number in numbers { closeDescriptor(number) }
                return
            }
        }
        for number in made?.numbers ?? [] { closeDescriptor(number) }
        made = ProcessBells(identity: .random(in: 1 ... .max), numbers: numbers)
        takePlace(-1)
    }

    /// In a freshly forked child.
    ///
    /// - Parameter number: any number. Processes whose numbers are neighbours get different places.
    package static func takePlace(_ number: Int) {
        guard let made else { return }
        let index = (number % made.numbers.count + made.numbers.count) % made.numbers.count
        taken = Place(bells: made.identity, bit: 1 << UInt64(index), number: made.numbers[index])
    }

    /// All places, as bits.
    package var places: UInt64 { numbers.count == Self.most ? .max : (1 << UInt64(numbers.count)) - 1 }

    /// Wakes the processes at a place.
    ///
    /// - Parameter place: a bit of `places`.
    package func ring(_ place: UInt64) {
        let index = place.trailingZeroBitCount
        if index < numbers.count { Bell.ring(numbers[index]) }
    }
}
