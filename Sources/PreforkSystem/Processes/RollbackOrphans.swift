// Children of a program that has ended, found by the previous program, which has come back.

import CPrefork
import Glibc

/// The new program of an upgrade may end with children that the previous program does not know: managed processes, a
/// worker that it had just forked, programs that its main() started. They are ended with it.
package enum RollbackOrphans {
    private static let handoverKind = "children"
    /// They were killed. A process that is not gone by then is stuck in the kernel.
    private static let patience = Duration.seconds(1)

    /// - Parameters:
    ///   - kept: children that the previous program continues to use, besides the children that live now.
    ///   - ended: those that end with the new program.
    package static func item(keeping kept: [Int32], ending ended: [Int32]) -> HandoverItem {
        item(before: AdoptedOrphans.children(except: []), keeping: kept, ending: ended)
    }

    /// The same in the new program.
    ///
    /// - Parameter items: what the previous program has left for itself.
    package static func item(from items: [HandoverItem], keeping kept: [Int32], ending ended: [Int32]) -> HandoverItem {
        let lists = items.first { $0.kind == handoverKind }.map { Self.lists(of: $0.text) }
        return item(before: lists?.first ?? [], keeping: kept, ending: ended)
    }

    private static func item(before: [Int32], keeping kept: [Int32], ending ended: [Int32]) -> HandoverItem {
        let lists = [before, kept, ended].map { $0.map(String.init).joined(separator: ",") }
        return HandoverItem(kind: handoverKind, key: "", descriptors: [], text: lists.joined(separator: " "))
    }

    private static func lists(of text: String) -> [[Int32]] {
        text.split(separator: " ", omittingEmptySubsequences: false).map {
            $0.split(separator: ",").compactMap { Int32($0) }
        }
    }

    /// Kills and collects them.
    ///
    /// - Parameters:
    ///   - items: what the previous program has left for itself. The function removes the lists from it.
    ///   - areMore: a child may live that no list has.
    static func end(from items: inout [HandoverItem], areMore: Bool) {
        guard let index = items.firstIndex(where: { $0.kind == handoverKind }) else { return }
        let lists = lists(of: items.remove(at: index).text)
        guard lists.count == 3 else { return }
        var rest = Set(lists[2])
        // If this process adopts orphans, a child in no list may have come by the end of its parent.
        if areMore || !AdoptedOrphans.areAdopted {
            rest.formUnion(AdoptedOrphans.children(except: Set(lists[0] + lists[1])))
        }
        // A number that the new program has collected may be another process's by now.
        rest = rest.filter { ChildProcess.isChild($0) }
        for pid in rest { kill(pid, SIGKILL) }
        let end = MonotonicInstant.now + patience
        while !rest.isEmpty, MonotonicInstant.now < end {
            rest = rest.filter { cprefork_collect_child($0) == 0 }
            if !rest.isEmpty { _ = try? Polling.waitUntilReadable([], until: .now + .milliseconds(2)) }
        }
    }
}
