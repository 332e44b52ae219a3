// The way back of an upgrade: the previous program takes this process again if the new one ends too early.

import CPrefork
import Glibc

/// What a new program has of the one before until it has shown that it holds.
///
/// From before its main() on, the new program's end executes the previous program (rollback.c): by exit(3), by a return
/// from main(), by a signal of a crash. The previous program gets back duplicates of all descriptors that it had, which
/// the new program does not use. Whatever the new program closes, replaces or has in hand at its end, they are the same
/// open files. SIGKILL and _exit(2) end the process.
package final class Rollback {
    static let variable = "PREFORK_WAY_BACK"
    package static let handoverKind = "way back"

    /// How the new program has ended.
    package enum End: Equatable, Sendable {
        case exit(code: Int32)
        /// quick_exit(3), which does not show its code.
        case quickExit
        /// It did not begin to supervise in time.
        case startLimit
        case signal(Signal)

        /// - Parameter text: as rollback.c writes it.
        init?(text: Substring) {
            guard let number = Int32(text.dropFirst()), (0...255).contains(number) else { return nil }
            switch text.first {
            case "e": self = .exit(code: number)
            case "q": self = .quickExit
            case "t": self = .startLimit
            case "s": self = .signal(Signal(rawValue: number))
            default: return nil
            }
        }
    }

    /// Whether the end of this very process would execute the previous program.
    package static var isOpen: Bool { cprefork_has_rollback() }

    /// The previous program's file.
    package let image: Int32
    private let directory: Int32
    /// What it had when it left, with duplicates of its descriptors.
    package let items: [HandoverItem]
    /// What it would get now.
    package private(set) var present: [HandoverItem]
    private var file: Int32

    /// Takes it out of what the previous program has left. Nil if it left no way back.
    package static func take() -> Rollback? {
        guard let item = Handover.take(handoverKind, key: ""), let items = HandoverManifest.items(of: item.text),
            item.descriptors.count >= RollbackOffer.ownDescriptors
        else { return nil }
        return Rollback(item.descriptors, items)
    }

    private init(_ numbers: [Int32], _ items: [HandoverItem]) {
        (image, file) = (numbers[0], numbers[1])
        directory = numbers.count > RollbackOffer.ownDescriptors + items.flatMap(\.descriptors).count ? numbers[2] : -1
        self.items = items
        present = items
    }

    /// All that is open for it. Its end does not close them: it outlives the object when the supervisor fails.
    package var descriptors: [Int32] { place + kept }

    /// The previous program, and its working directory.
    package var place: [Int32] { [image] + (directory >= 0 ? [directory] : []) }

    /// What it gets, and the description of it.
    package var kept: [Int32] { [file] + Array(Set((items + present).flatMap(\.descriptors))) }

    /// From now on the previous program gets `items`.
    ///
    /// - Parameter items: with descriptors that nothing else closes before the next call has come back.
    /// - Throws: with everything as it was.
    package func describe(_ items: [HandoverItem]) throws(SystemError) {
        if items != present {
            let new = try HandoverManifest.write(items)
            let kept = items.flatMap(\.descriptors) + [new]
            do throws(SystemError) {
                try systemCall("malloc", on: "way back") {
                    cprefork_describe_rollback(new, kept, Int32(clamping: kept.count))
                }
            } catch {
                closeDescriptor(new)
                throw error
            }
            closeDescriptor(file)
            file = new
            present = items
        }
        cprefork_note_new_child(false)
    }

    /// This program supervises by now: its start has no limit any more.
    package static func endStartLimit() { cprefork_end_start_limit() }

    /// The new program has passed its probation, or must end.
    package func end() {
        cprefork_end_rollback()
        closeDescriptors(descriptors)
    }
}

extension Rollback.End: CustomStringConvertible {
    package var description: String {
        switch self {
        case .exit(let code): "exit code \(code)"
        case .quickExit: "quick_exit"
        case .startLimit: "it did not begin to supervise within the boot timeout"
        case .signal(let signal): "\(signal)"
        }
    }
}

/// The way back to this program, made before another one takes its place.
package final class RollbackOffer {
    /// This program's file, and the list of what it gets back.
    static let ownDescriptors = 2

    private let image: Int32
    private let file: Int32
    /// Below zero: it cannot be opened.
    private let directory: Int32
    private let items: [HandoverItem]
    private let startLimit: Duration

    /// - Parameters:
    ///   - offers: what this program gets back. Their descriptors are duplicated.
    ///   - startLimit: the time in which the new program must begin to supervise. Above zero.
    package init(_ offers: [HandoverItem], startLimit: Duration) throws(SystemError) {
        self.startLimit = startLimit
        let made = DescriptorSet()
        image = made.add(try ProgramImage.open())
        directory = cprefork_open_directory(".")
        if directory >= 0 { made.add(directory) }
        var items = offers + [RollbackOrphans.item(keeping: [], ending: [])]
        for index in items.indices {
            for place in items[index].descriptors.indices {
                items[index].descriptors[place] = made.add(try duplicate(items[index].descriptors[place]))
            }
        }
        file = made.add(try HandoverManifest.write(items))
        self.items = items
        made.releaseAll()
    }

    /// The other program did not come.
    deinit {
        closeDescriptors(descriptors)
    }

    var descriptors: [Int32] {
        [image, file] + (directory >= 0 ? [directory] : []) + items.flatMap(\.descriptors)
    }

    /// For the new program's supervisor.
    package var item: HandoverItem {
        HandoverItem(
            kind: Rollback.handoverKind, key: "", descriptors: descriptors, text: HandoverManifest.text(of: items))
    }

    /// For the new program's first instructions. See rollback.c.
    ///
    /// - Parameter others: the other descriptors left to the new program. The previous program gets no descriptor of
    ///   them.
    func variable(_ others: [Int32]) -> String {
        let place = directory >= 0 ? "\(directory)" : ""
        let kept = Self.list(of: items.flatMap(\.descriptors) + [file])
        let limit = max(1, Int32(clamping: startLimit.saturatedNanoseconds / 1_000_000))
        return "\(getpid()):\(image):\(place):\(file):\(kept):\(Self.list(of: others)):\(limit)"
    }

    private static func list(of numbers: [Int32]) -> String {
        unbrokenRuns(of: numbers).map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
            .joined(separator: ",")
    }
}
