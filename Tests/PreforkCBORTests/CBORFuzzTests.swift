// Random values and random bytes.

import PreforkCBOR
import PreforkSystem
import Testing

private indirect enum Tree: Codable, Equatable {
    case leaf(Leaf)
    case branch([Tree])
    case named([String: Tree])
    case numbered([Int: Tree])
    case maybe(Tree?)
    case empty

    struct Leaf: Codable, Equatable {
        var integer: Int
        var small: Int16?
        var large: UInt64
        var double: Double
        var float: Float
        var text: String
        var bytes: [UInt8]
        var flags: [Bool]
        var pairs: [Double: String]
    }

    fileprivate static func random(depth: Int, _ random: inout SplitMix64) -> Tree {
        switch depth > 0 ? Int.random(in: 0..<6, using: &random) : 0 {
        case 0: .leaf(.random(&random))
        case 1:
            .branch(
                (0..<Int.random(in: 0..<30, using: &random) / depth).map { _ in .random(depth: depth - 1, &random) })
        case 2:
            .named(
                Dictionary(
                    (0..<Int.random(in: 0..<4, using: &random)).map { _ in
                        (randomText(&random), .random(depth: depth - 1, &random))
                    }, uniquingKeysWith: { first, _ in first }))
        case 3:
            .numbered(
                Dictionary(
                    (0..<Int.random(in: 0..<4, using: &random)).map { _ in
                        (randomInteger(&random), .random(depth: depth - 1, &random))
                    }, uniquingKeysWith: { first, _ in first }))
        case 4: .maybe(Bool.random(using: &random) ? .random(depth: depth - 1, &random) : nil)
        default: .empty
        }
    }
}

extension Tree.Leaf {
    fileprivate static func random(_ random: inout SplitMix64) -> Tree.Leaf {
        Tree.Leaf(
            integer: randomInteger(&random),
            small: Bool.random(using: &random) ? .random(in: .min ... .max, using: &random) : nil,
            large: random.next(), double: randomDouble(&random), float: Float(randomDouble(&random)),
            text: randomText(&random),
            bytes: (0..<Int.random(in: 0..<40, using: &random)).map { _ in .random(in: 0...255, using: &random) },
            flags: (0..<Int.random(in: 0..<30, using: &random)).map { _ in .random(using: &random) },
            pairs: [randomDouble(&random): randomText(&random)])
    }
}

private func randomInteger(_ random: inout SplitMix64) -> Int {
    Int(truncatingIfNeeded: random.next()) >> Int.random(in: 0..<64, using: &random)
}

private func randomDouble(_ random: inout SplitMix64) -> Double {
    switch Int.random(in: 0..<3, using: &random) {
    case 0: Double(randomInteger(&random))
    case 1: Double(Int16.random(in: .min ... .max, using: &random)) / 8
    default: Double.random(in: -1e9...1e9, using: &random)
    }
}

private func randomText(_ random: inout SplitMix64) -> String {
    let count = Int.random(in: 0..<30, using: &random)
    return String((0..<count).map { _ in "abcÄß水🦆\u{0}".randomElement(using: &random)! })
}

@Suite(.timeLimit(.minutes(2)))
struct CBORFuzzTests {
    private let codec = CBORCodec()

    @Test func randomValuesComeBackAsTheyWere() throws {
        for seed in 1...UInt64(500) {
            var random = SplitMix64(seed: seed)
            let tree = Tree.random(depth: 4, &random)
            #expect(try codec.decode(Tree.self, from: codec.encode(tree)) == tree, "seed \(seed)")
        }
    }

    /// A trap would end the test runner: the seed is in the last line that it has printed.
    @Test func damagedDocumentsAreAValueOrAnError() throws {
        let seed: UInt64 = 20_260_101
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        var documents: [[UInt8]] = []
        for _ in 0..<50 { documents.append(try codec.encode(Tree.random(depth: 3, &random))) }
        documents.removeAll { $0.count > 2000 }
        var values = 0
        for round in 0..<100_000 {
            let bytes =
                round % 4 == 0
                ? randomBytes(&random) : damaged(documents.randomElement(using: &random)!, &random)
            do {
                switch round % 3 {
                case 0: _ = try codec.decode(Tree.self, from: bytes)
                case 1: _ = try codec.decode(Tree.Leaf.self, from: bytes)
                default: _ = try codec.decode(Walk.self, from: bytes)
                }
                values += 1
            } catch is DecodingError {
            } catch {
                Issue.record("seed \(seed), round \(round): \(error)")
            }
        }
        #expect(values > 0)
    }

    private func randomBytes(_ random: inout SplitMix64) -> [UInt8] {
        (0..<Int.random(in: 0..<64, using: &random)).map { _ in .random(in: 0...255, using: &random) }
    }

    /// One to four damages: a byte changed, taken out or put in, the end cut off, a piece doubled.
    private func damaged(_ document: [UInt8], _ random: inout SplitMix64) -> [UInt8] {
        var bytes = document
        for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
            let place = bytes.indices.randomElement(using: &random)!
            let heads: [UInt8] = [0x1B, 0x3B, 0x5B, 0x5F, 0x7B, 0x7F, 0x9B, 0x9F, 0xBB, 0xBF, 0xC1, 0xF6, 0xFB, 0xFF]
            switch Int.random(in: 0..<6, using: &random) {
            case 0: bytes[place] = .random(in: 0...255, using: &random)
            case 1: bytes[place] = heads.randomElement(using: &random)!
            case 2: bytes.remove(at: place)
            case 3: bytes.insert(.random(in: 0...255, using: &random), at: place)
            case 4: bytes.removeLast(bytes.count - place)
            default: bytes.insert(contentsOf: bytes[place...].prefix(8), at: place)
            }
        }
        return bytes
    }
}

/// Reads whatever is there, in every way that a decoder has.
private struct Walk: Decodable {
    private struct AnyKey: CodingKey {
        let stringValue: String
        let intValue: Int?
        init?(stringValue: String) { (self.stringValue, intValue) = (stringValue, Int(stringValue)) }
        init?(intValue: Int) { (stringValue, self.intValue) = ("\(intValue)", intValue) }
    }

    init(from decoder: any Decoder) throws {
        let single = try decoder.singleValueContainer()
        if single.decodeNil() { return }
        if (try? single.decode(Int.self)) != nil || (try? single.decode(UInt64.self)) != nil { return }
        if (try? single.decode(Double.self)) != nil || (try? single.decode(Float.self)) != nil { return }
        if (try? single.decode(String.self)) != nil || (try? single.decode([UInt8].self)) != nil { return }
        if let map = try? decoder.container(keyedBy: AnyKey.self) {
            for key in map.allKeys.reversed() {
                _ = try map.decodeNil(forKey: key)
                _ = try? map.decodeIfPresent(Bool.self, forKey: key)
                _ = try Walk(from: map.superDecoder(forKey: key))
            }
            _ = try map.superDecoder()
            return
        }
        var array = try decoder.unkeyedContainer()
        let count = array.count
        while !array.isAtEnd { _ = try array.decode(Walk.self) }
        #expect(array.currentIndex == count)
        #expect(throws: DecodingError.self) { try array.decode(Int.self) }
    }
}
