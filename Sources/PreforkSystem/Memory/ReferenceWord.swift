// The word in which Swift's runtime counts the references to an object, and how an object becomes immortal.

import CPrefork

/// The second word of a native Swift object (SwiftShims/RefCount.h and HeapObject.h of Swift 6.3.1, 64 bits):
///
/// | bits | an object of the heap | an immortal object | an object with a side table |
/// |---|---|---|---|
/// | 0 | 1: Swift alone frees it | 1 | address of the table ÷ 8 |
/// | 1-31 | unowned references, and one more | all 1 | address |
/// | 32 | its deinit has begun | 0 | address |
/// | 33-62 | strong references, without the first | 2 | 0, and bit 62 is 1 |
/// | 63 | 0 | 1 | 1 |
///
/// The runtime's `isImmortal` looks at bits 0-31 and 63. A retain or release of an immortal object overflows into bit 63,
/// sees these bits and writes nothing.
package enum ReferenceWord {
    /// immortalBits() of RefCount.h: the word of objects that the compiler and the runtime make statically.
    package static let immortal: UInt64 = 0x8000_0004_FFFF_FFFF
    /// The word of a new object.
    package static let ofOneReference: UInt64 = 3
    /// What a retain adds.
    package static let strongUnit: UInt64 = 1 << 33
    /// The bits of the strong references.
    package static let strongMask: UInt64 = ((1 << 30) - 1) << 33
    /// The metadata's address comes first (HeapObject.h).
    static let offset = 8

    private static let immortalMask: UInt64 = 0x8000_0000_FFFF_FFFF
    private static let slowMask: UInt64 = 1 << 63
    private static let deinitMask: UInt64 = 1 << 32

    package static func isImmortal(_ word: UInt64) -> Bool { word & immortalMask == immortalMask }

    /// Whether an object with this word may become immortal: it lives, and has no side table.
    package static func canBecomeImmortal(_ word: UInt64) -> Bool {
        word & (slowMask | deinitMask) == 0 && word & 1 == 1
    }
}

/// What became of an object that was to be immortal.
package enum ImmortalityResult: Equatable, Sendable {
    case made
    /// It was: the program has made it so before, or the compiler or the runtime.
    case was
    /// It has a side table, because a weak reference to it was made. Its word stays as it is.
    case refused
}

/// The word of a living object.
package func referenceWord(of object: AnyObject) -> UInt64 {
    // Proof: a native object has two words (HeapObject.h, Swift 6.3.1), the reference keeps it for the time of the read,
    // and on Linux every object is native.
    withExtendedLifetime(object) { cprefork_reference_word(Unmanaged.passUnretained(object).toOpaque()) }
}

/// Makes an object immortal: no retain and no release writes to it any more, and it is never freed. To be called only
/// where `ObjectLayout.problem` is nil, and while the process has one thread.
@inline(never)
package func makeImmortal(_ object: AnyObject) -> ImmortalityResult {
    // Proof: the word is where `ObjectLayout` has found it. The reference keeps the object for the time of the call.
    // Nothing else writes the word meanwhile, because there is one thread. The runtime itself changes living objects in
    // this way (setIsImmortal of RefCount.h, Swift 6.3.1). All owners' later releases change nothing, also
    // of unowned references, so that a count that is lost here is never missed. An object on the stack, to which the
    // optimizer has proved that no reference escapes, may be among them: its frame ends its life without its count.
    withExtendedLifetime(object) {
        let address = Unmanaged.passUnretained(object).toOpaque()
        let word = address.load(fromByteOffset: ReferenceWord.offset, as: UInt64.self)
        if ReferenceWord.isImmortal(word) { return .was }
        guard ReferenceWord.canBecomeImmortal(word) else { return .refused }
        address.storeBytes(of: ReferenceWord.immortal, toByteOffset: ReferenceWord.offset, as: UInt64.self)
        return .made
    }
}
