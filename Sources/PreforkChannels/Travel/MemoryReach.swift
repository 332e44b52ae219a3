// Which processes can get the memory of a channel or a queue.

import PreforkStore
import PreforkSystem

/// Which processes have it besides its maker.
enum MemoryReach: Hashable, Sendable {
    /// The children that are forked later. No process can make holes in it.
    case children
    /// These, and the next image of the program. No process makes holes in it, as far as the kernel lets this process forbid
    /// that (`MemoryFile.keepWhole`). Meanwhile no process can map it again.
    case images
    /// Every process that it is sent to.
    case anyProcess

    /// - Parameter travels: what the program wants. If nil, what is safe.
    init(_ claim: HandoverClaim, travels: Bool?) {
        let isChild = Family.isMember || !ForkCount.isFirst
        // Before the first fork, every later process can inherit it.
        let isLate = hasForkedChildren && !Family.hasOtherRights
        self = travels ?? (isChild || isLate) ? .anyProcess : claim.isOffered ? .images : .children
    }

    func map(_ file: borrowing MemoryFile, byteCount: Int) throws(SystemError) -> SharedMapping {
        self == .images
            ? try SharedMapping(keepingWhole: file, byteCount: byteCount)
            : try SharedMapping(file, byteCount: byteCount)
    }
}

extension SystemError {
    /// Why a handle could not be opened.
    var travelText: String {
        guard call == "mmap", errno == .notPermitted else { return "\(self)" }
        return "it is only for processes that inherit it, unless it is made with `travels`: \(self)"
    }
}
