// Whether Swift's runtime counts references where `ReferenceWord` says, as a look at living objects shows it.

import CPrefork

/// What this process's runtime shows of its objects. `problem` says whether objects may be made immortal.
///
/// Each look follows addresses only after the looks before it have shown that they are addresses of objects. What was not
/// looked at has its initial value, which is a problem.
package struct ObjectLayout: Equatable, Sendable {
    /// The size of a pointer.
    package var pointerBytes = MemoryLayout<UnsafeRawPointer>.size
    /// The sizes of an array, a contiguous array, a slice, a dictionary, a set and a string.
    package var containerBytes = [
        MemoryLayout<[Int]>.size, MemoryLayout<ContiguousArray<Int>>.size, MemoryLayout<ArraySlice<Int>>.size,
        MemoryLayout<[Int: Int]>.size, MemoryLayout<Set<Int>>.size, MemoryLayout<String>.size,
    ]
    /// Empty containers hold the addresses of the runtime's static objects, and filled ones addresses in front of their
    /// elements.
    package var holdsAddresses = false
    /// The words of the runtime's static objects.
    package var staticWords: [UInt64] = []
    /// The words of the storages of filled containers, without the strong references.
    package var storageWords: [UInt64] = []
    /// The words of a new object, after a retain, and after a release.
    package var countedWords: [UInt64] = []
    /// The words of an object that was just made immortal, after a retain, and after a release.
    package var immortalWords: [UInt64] = []

    /// What this process shows, found out at the first use.
    package static let observed = observe()

    /// Why nothing may be made immortal. Nil if all was found as expected.
    package var problem: String? {
        if pointerBytes != 8 { return "pointers have \(pointerBytes) bytes" }
        if containerBytes != [8, 8, 32, 8, 8, 16] { return "containers have \(containerBytes) bytes" }
        if !holdsAddresses { return "containers hold no addresses of their storage" }
        if staticWords != Array(repeating: ReferenceWord.immortal, count: 3) {
            return "static objects have the words \(Self.hex(staticWords))"
        }
        if storageWords != Array(repeating: ReferenceWord.ofOneReference, count: 6) {
            return "storages of containers have the words \(Self.hex(storageWords))"
        }
        if !countsAsExpected {
            return "a retain and a release make \(Self.hex(countedWords)) of an object's word"
        }
        if immortalWords != Array(repeating: ReferenceWord.immortal, count: 3) {
            return "a retain and a release make \(Self.hex(immortalWords)) of an immortal object's word"
        }
        return nil
    }

    /// The caller of the look may have further references, of which the compiler decides.
    private var countsAsExpected: Bool {
        guard let first = countedWords.first, first & ~ReferenceWord.strongMask == ReferenceWord.ofOneReference else {
            return false
        }
        return countedWords == [first, first + ReferenceWord.strongUnit, first]
    }

    private static func hex(_ words: [UInt64]) -> String {
        "[" + words.map { "0x" + String($0, radix: 16) }.joined(separator: ", ") + "]"
    }

    private static func observe() -> ObjectLayout {
        var layout = ObjectLayout()
        // What follows casts containers to words, which needs these sizes.
        guard layout.pointerBytes == 8, layout.containerBytes == [8, 8, 32, 8, 8, 16] else { return layout }
        let probes = StorageProbes()
        layout.holdsAddresses = probes.holdAddresses
        guard layout.holdsAddresses else { return layout }
        layout.staticWords = StorageProbes.staticObjects.map(StorageProbes.word(at:))
        layout.storageWords = probes.words
        guard layout.staticWords == Array(repeating: ReferenceWord.immortal, count: 3) else { return layout }
        let probe = CountProbe.make()
        layout.countedWords.append(referenceWord(of: probe))
        CountProbe.retain(probe)
        layout.countedWords.append(referenceWord(of: probe))
        CountProbe.release(probe)
        layout.countedWords.append(referenceWord(of: probe))
        guard layout.countsAsExpected else { return layout }
        guard makeImmortal(probe) == .made else { return layout }
        layout.immortalWords.append(referenceWord(of: probe))
        CountProbe.retain(probe)
        layout.immortalWords.append(referenceWord(of: probe))
        CountProbe.release(probe)
        layout.immortalWords.append(referenceWord(of: probe))
        return layout
    }
}

/// An object to count references to.
private final class CountProbe {
    /// In functions of their own: the optimizer would put the object on the stack, and leave out a retain with its
    /// release.
    @inline(never) static func make() -> CountProbe { CountProbe() }
    @inline(never) static func retain(_ probe: CountProbe) { _ = Unmanaged.passRetained(probe) }
    @inline(never) static func release(_ probe: CountProbe) { Unmanaged.passUnretained(probe).release() }
}

/// Containers with elements, whose storages lie on the heap.
private struct StorageProbes {
    // Made of a number that the compiler does not know: constant containers would be static.
    private let array: [Int]
    private let contiguous: ContiguousArray<Int>
    private let slice: ArraySlice<Int>
    private let sliced: [Int]
    private let dictionary: [Int: Int]
    private let set: Set<Int>
    private let string: String

    /// Never inline: the optimizer would put the storages on the stack, where they have another word.
    @inline(never)
    init() {
        let number = Int(CurrentProcess.pid)
        array = [number, 1]
        contiguous = [number, 2]
        sliced = [number, 3, number]
        slice = sliced[1...]
        dictionary = [number: 4]
        set = [number]
        // Longer than the 15 bytes that lie in the string itself.
        string = String(repeating: "\(number) ", count: 32)
    }

    /// The runtime's static objects: storages of an empty array, dictionary and set.
    static let staticObjects: [UInt] = (0..<3).map { UInt(bitPattern: cprefork_static_object($0)) }

    /// The words that refer to the storages.
    ///
    /// Proof: the caller has compared the sizes of both sides. The types are frozen: Array, ContiguousArray, Dictionary and
    /// Set are one reference to their storage on Linux, a slice begins with one (SliceBuffer.swift: `owner`), and the second
    /// word of a string has its object's address (StringObject.swift: `_object`), Swift 6.3.1. Words are numbers here, and
    /// are followed only after `holdAddresses`.
    private var references: [UInt] {
        [
            unsafeBitCast(array, to: UInt.self), unsafeBitCast(contiguous, to: UInt.self),
            unsafeBitCast(slice, to: (UInt, UInt, UInt, UInt).self).0, unsafeBitCast(dictionary, to: UInt.self),
            unsafeBitCast(set, to: UInt.self), unsafeBitCast(string, to: (UInt, UInt).self).1,
        ]
    }

    var holdAddresses: Bool {
        // Proof: as for `references`.
        let empty = [
            unsafeBitCast([Int](), to: UInt.self), unsafeBitCast([Int: Int](), to: UInt.self),
            unsafeBitCast(Set<Int>(), to: UInt.self),
        ]
        guard empty == Self.staticObjects, !empty.contains(0) else { return false }
        let found = references
        // Addresses of a process have 47 bits, with five levels of page tables 56, and malloc(3) aligns to 16 bytes.
        guard found.allSatisfy({ $0 > 4096 && $0 >> 56 == 0 && $0 % 16 == 0 }) else { return false }
        // Two words of the object, and the two words in front of the elements or of the text.
        let header: UInt = 32
        var string = string
        let starts = [
            array.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) },
            contiguous.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) },
            sliced.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) },
            string.withUTF8 { UInt(bitPattern: $0.baseAddress) },
        ]
        return [found[0], found[1], found[2], found[5]].map { $0 + header } == starts
    }

    /// The words of the storages, without their strong references: the slice's has two.
    var words: [UInt64] {
        withExtendedLifetime(self) { references.map { Self.word(at: $0) & ~ReferenceWord.strongMask } }
    }

    /// The reference word of the object at an address.
    ///
    /// Proof: `holdAddresses` was true, so that it is the address of a living object of this value, or of a static one.
    static func word(at address: UInt) -> UInt64 {
        UnsafeRawPointer(bitPattern: address).map(cprefork_reference_word) ?? 0
    }
}
