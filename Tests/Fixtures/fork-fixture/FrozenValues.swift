// What can be frozen, and what a program may do with it afterwards.

import Prefork
import PreforkFixtureSupport
import PreforkSystem

/// An object that refers to others, also to itself, and counts the ends of all.
final class FrozenNode: Freezable {
    // Proof: this fixture has one thread.
    nonisolated(unsafe) static var endCount = 0

    let name: String
    var next: FrozenNode?
    var others: [FrozenNode] = []
    unowned var owner: FrozenNode?

    init(_ name: String) { self.name = name + ", a name of more than fifteen bytes" }

    deinit { Self.endCount += 1 }

    func freezeContents(with freezer: inout Freezer) {
        freezer.freeze(name)
        freezer.freeze(next)
        freezer.freeze(others)
    }
}

class FrozenBase: Freezable {
    var texts = [String(repeating: "base ", count: 9)]
    func freezeContents(with freezer: inout Freezer) { freezer.freeze(texts) }
}

final class FrozenDerived: FrozenBase {
    var more = [String(repeating: "derived ", count: 9)]
    override func freezeContents(with freezer: inout Freezer) {
        super.freezeContents(with: &freezer)
        freezer.freeze(more)
    }
}

private enum Tree: Freezable {
    case leaf(String)
    case branch([Tree])

    func freezeContents(with freezer: inout Freezer) {
        switch self {
        case .leaf(let text): freezer.freeze(text)
        case .branch(let trees): freezer.freeze(trees)
        }
    }
}

private struct Pair: Freezable {
    var name: (String, String)
    var sizes: ContiguousArray<Double>
    func freezeContents(with freezer: inout Freezer) {
        freezer.freeze(name.0)
        freezer.freeze(name.1)
        freezer.freeze(sizes)
    }
}

/// A class that is not freezable.
private final class Foreign {
    let text = String(repeating: "foreign ", count: 9)
}

/// A text that lies in an object.
private func text(_ number: Int) -> String { String(repeating: "text \(number) ", count: 8) }

private func isImmortal(_ object: AnyObject) -> Bool { ReferenceWord.isImmortal(referenceWord(of: object)) }

/// `freeze-values`: a line for each property, with what was found.
func freezeValuesScenario(_ arguments: [String]) throws {
    let runtime = ForkRuntime(workers: .count(1))
    func count<Value: Freezable>(_ value: Value) throws -> Int {
        try runtime.freezing(where: .observed) { $0.freeze(value) }
    }
    // One object for each storage, and one for each text of more than 15 bytes.
    say("string \(try count(text(1))) \(try count("short")) \(try count("a constant, which is immortal anyway"))")
    say("substring \(try count(text(2).dropFirst(3)))")
    say("array \(try count([text(3), text(4)])) \(try count([getpid(), 2])) \(try count([String]()))")
    say("contiguous \(try count(ContiguousArray([text(5)])))")
    say("slice \(try count([text(6), text(7), text(8)][1...]))")
    say("dictionary \(try count([text(9): [text(10)]])) \(try count([getpid(): 2.5])) \(try count([String: Int]()))")
    say("set \(try count(Set([text(11), text(12)])))")
    say("optional \(try count(Optional(text(13)))) \(try count(String?.none)) \(try count([text(14), nil]))")
    say("enum \(try count(Tree.branch([.leaf(text(15)), .branch([.leaf(text(16))])])))")
    say("struct \(try count(Pair(name: (text(17), text(18)), sizes: [Double(getpid())])))")
    say("class \(try count(FrozenDerived()))")
    let accents = String(repeating: "\u{301}", count: Int(getpid() % 2) + 20)
    say("character \(try count(Character("a"))) \(try count(Character("e" + accents)))")
    let routes = [(text(19), [text(20)]), (text(21), [])]
    let tuples = try runtime.freezing(where: .observed) { freezer in
        freezer.freeze(routes) { route, freezer in
            freezer.freeze(route.0)
            freezer.freeze(route.1)
        }
    }
    let named = [text(22): (text(23), 1)]
    let values = try runtime.freezing(where: .observed) { freezer in
        freezer.freeze(named) { key, value, freezer in
            freezer.freeze(key)
            freezer.freeze(value.0)
        }
    }
    let foreign = Foreign()
    let objects = try runtime.freezing(where: .observed) { freezer in
        freezer.freeze(object: foreign) { $1.freeze($0.text) }
        freezer.freeze(object: foreign) { _, _ in say("called again") }
    }
    say("tuples \(tuples), named \(values), foreign \(objects)")
    try freezeGraphs(runtime)
    try changeFrozen(runtime)
    try freezeWeak(runtime)
}

/// Cycles, shared objects, and depths above every stack.
private func freezeGraphs(_ runtime: ForkRuntime) throws {
    func count<Value: Freezable>(_ value: Value) throws -> Int {
        try runtime.freezing(where: .observed) { $0.freeze(value) }
    }
    let first = FrozenNode("first")
    let second = FrozenNode("second")
    first.next = second
    second.next = first
    second.others = [first, second]
    second.owner = first
    // Two nodes, two names, one array.
    say("cycle \(try count(first)) \(try count(first)) \(second.owner === first)")
    let list = FrozenNode("0")
    var end = list
    for number in 1..<200_000 {
        end.next = FrozenNode("\(number)")
        end = end.next ?? end
    }
    say("list \(try count(list))")
    var tree = Tree.leaf(text(30))
    for _ in 0..<100_000 { tree = .branch([tree]) }
    say("tree \(try count(tree))")
}

/// Values that are changed after they were frozen.
private func changeFrozen(_ runtime: ForkRuntime) throws {
    var array = [text(40), text(41)]
    let frozen = try runtime.freeze(array)
    array[0] += "changed"
    array.append("more")
    say("copied \(frozen == [text(40), text(41)]) \(array.count == 3 && array[0] == text(40) + "changed")")
    var dictionary = try runtime.freeze([text(42): [1, Int(getpid())]])
    let before = dictionary
    dictionary[text(42)]?.append(3)
    dictionary["new"] = []
    say("copied \(before[text(42)]?.count ?? 0) \(dictionary[text(42)]?.count ?? 0) \(before.count) \(dictionary.count)")
    var string = try runtime.freeze(text(43))
    string += "!"
    say("copied \(string == text(43) + "!")")
    var node = FrozenNode("node")
    let wasUnique = isKnownUniquelyReferenced(&node)
    try runtime.freeze(node)
    node.others.append(FrozenNode("other"))
    say("unique \(wasUnique) \(isKnownUniquelyReferenced(&node)) \(isImmortal(node)) \(node.others.count)")
    let ends = FrozenNode.endCount
    do { try runtime.freeze(FrozenNode("never freed")) }
    say("freed \(FrozenNode.endCount - ends)")
    do { _ = FrozenNode("freed") }
    say("freed \(FrozenNode.endCount - ends)")
}

/// Weak references before and after, and unowned ones.
private func freezeWeak(_ runtime: ForkRuntime) throws {
    let early = FrozenNode("early")
    weak let weakEarly = early
    let inner = FrozenNode("inner")
    early.next = inner
    let word = referenceWord(of: early)
    // The name, and the inner node with its name. A second walk finds nothing.
    let count = try runtime.freezing(where: .observed) { $0.freeze([early, early]) }
    say("weak before \(count) \(isImmortal(early)) \(referenceWord(of: early) == word) \(isImmortal(inner))")
    say("weak before \(weakEarly === early)")
    var ends = FrozenNode.endCount
    do {
        let mortal = FrozenNode("mortal")
        weak let seen = mortal
        try runtime.freeze(mortal)
        require(seen != nil, "it lives")
    }
    say("weak before, freed \(FrozenNode.endCount - ends)")
    let late = FrozenNode("late")
    try runtime.freeze(late)
    weak let weakLate = late
    let afterWeak = referenceWord(of: late)
    let copies = Array(repeating: late, count: 10)
    say("weak after \(isImmortal(late)) \(referenceWord(of: late) == afterWeak) \(weakLate === copies[9])")
    ends = FrozenNode.endCount
    do {
        let lost = FrozenNode("lost")
        try runtime.freeze(lost)
        weak let reference = lost
        require(reference != nil, "it lives")
    }
    say("weak after, freed \(FrozenNode.endCount - ends)")
    let owned = FrozenNode("owned")
    let owner = FrozenNode("owner")
    owned.owner = owner
    try runtime.freeze(owner)
    owned.owner = nil
    owned.owner = owner
    say("unowned \(isImmortal(owner)) \(owned.owner === owner)")
}
