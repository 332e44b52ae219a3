// The objects in which the standard library's containers keep their elements.
//
// Each is asked for only by a `Freezer`, and there is one only where `ObjectLayout` has found the layouts of these types as
// they are used here: the sizes of both sides of each cast are the same, and the words are references to storages.

extension Array {
    /// Proof: an array is one strong reference to its storage (ContiguousArrayBuffer.swift on Linux, Swift
    /// 6.3.1), and the cast copies it as one.
    @usableFromInline var storage: AnyObject { unsafeBitCast(self, to: AnyObject.self) }
}

extension ContiguousArray {
    /// Proof: as for `Array`.
    @usableFromInline var storage: AnyObject { unsafeBitCast(self, to: AnyObject.self) }
}

extension ArraySlice {
    /// Proof: a slice is `owner`, a strong reference to the array's storage, and three words without references
    /// (SliceBuffer.swift, Swift 6.3.1). The cast copies it as that.
    @usableFromInline var storage: AnyObject { unsafeBitCast(self, to: (AnyObject, UInt, UInt, UInt).self).0 }
}

extension Dictionary {
    /// Proof: a dictionary is one strong reference to its storage on Linux (DictionaryVariant.swift, Swift 6.3.1).
    @usableFromInline var storage: AnyObject { unsafeBitCast(self, to: AnyObject.self) }
}

extension Set {
    /// Proof: as for `Dictionary` (SetVariant.swift, Swift 6.3.1).
    @usableFromInline var storage: AnyObject { unsafeBitCast(self, to: AnyObject.self) }
}

extension String {
    /// The object of the string's text. Nil if the text lies in the string itself, or in the program's constants.
    ///
    /// Proof: the second word of a string has four bits of kind and an address of 60 bits (StringObject.swift, Swift
    /// 6.3.1). The kind 0 is a native string with a counted storage. All other kinds are immortal or, with bit 60, not
    /// native, which do not occur on Linux. The string keeps the storage while the word becomes a strong reference.
    @usableFromInline var storage: AnyObject? {
        withExtendedLifetime(self) {
            let word = unsafeBitCast(self, to: (UInt, UInt).self).1
            guard word >> 60 == 0, let address = UnsafeRawPointer(bitPattern: word) else { return nil }
            return Unmanaged<AnyObject>.fromOpaque(address).takeUnretainedValue()
        }
    }
}
