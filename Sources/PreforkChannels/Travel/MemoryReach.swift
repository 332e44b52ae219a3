// Which processes come to the memory of a channel or a queue.

import PreforkStore
import PreforkSystem

/// Who has it besides the process that makes it.
enum MemoryReach: Hashable, Sendable {
    /// The children that are forked later. No process can make holes in it.
    case children
    /// These, and the next image of the program. No process makes holes in it, as far as the kernel lets this process forbid
    /// that (`MemoryFile.keepWhole`); meanwhile no process can map it anew.
    case images
    /// Every process that it is sent to.
    case anybody

    /// - Parameter travels: what the program wants; nil: what is safe.
    init(_ claim: HandoverClaim, travels: Bool?) {
        let isChild = Family.isMember || !ForkCount.isFirst
        // Who has not forked has no process that could not inherit it.
        let isLate = hasForkedChildren && !Family.hasOtherRights
        self = travels ?? (isChild || isLate) ? .anybody : claim.isOffered ? .images : .children
    }

    func map(_ file: borrowing MemoryFile, byteCount: Int) throws(SystemError) -> SharedMapping {
        self == .images
            ? try SharedMapping(keepingWhole: file, byteCount: byteCount)
            : try SharedMapping(file, byteCount: byteCount)
    }
}

extension SystemError {
    /// What stands in the way of one who opens a handle.
    var travelText: String {
        guard call == "mmap", errno == .notPermitted else { return "\(self)" }
        return "it is for processes that inherit it, or is made with `travels`: \(self)"
    }
}
