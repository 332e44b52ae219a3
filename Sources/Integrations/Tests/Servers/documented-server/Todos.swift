// A REST service on a repository.

import Foundation
import Hummingbird

struct Todo: ResponseEncodable, Codable, Equatable {
    var id: UUID
    var title: String
    var isDone: Bool
}

protocol TodoRepository: Sendable {
    func add(_ title: String) async throws -> Todo
    func all() async throws -> [Todo]
    func find(_ id: UUID) async throws -> Todo?
    func change(_ id: UUID, _ change: @Sendable (inout Todo) -> Void) async throws -> Todo?
    func remove(_ id: UUID) async throws -> Bool
}

actor TodoMemory: TodoRepository {
    private var todos: [UUID: Todo] = [:]

    func add(_ title: String) -> Todo {
        let todo = Todo(id: UUID(), title: title, isDone: false)
        todos[todo.id] = todo
        return todo
    }

    func all() -> [Todo] { todos.values.sorted { $0.title < $1.title } }
    func find(_ id: UUID) -> Todo? { todos[id] }

    func change(_ id: UUID, _ change: @Sendable (inout Todo) -> Void) -> Todo? {
        guard var todo = todos[id] else { return nil }
        change(&todo)
        todos[id] = todo
        return todo
    }

    func remove(_ id: UUID) -> Bool { todos.removeValue(forKey: id) != nil }
}

struct TodoController<Repository: TodoRepository> {
    struct New: Decodable {
        let title: String
    }

    struct Change: Decodable {
        let title: String?
        let isDone: Bool?
    }

    let repository: Repository

    func addRoutes(to group: RouterGroup<some RequestContext>) {
        group
            .get(use: list)
            .post(use: create)
            .get(":id", use: get)
            .patch(":id", use: update)
            .delete(":id", use: delete)
    }

    @Sendable func list(request: Request, context: some RequestContext) async throws -> [Todo] {
        try await repository.all()
    }

    @Sendable func create(request: Request, context: some RequestContext) async throws -> EditedResponse<Todo> {
        let new = try await request.decode(as: New.self, context: context)
        let todo = try await repository.add(new.title)
        return EditedResponse(status: .created, headers: [.location: "/todos/\(todo.id)"], response: todo)
    }

    /// A todo that is not there is 204.
    @Sendable func get(request: Request, context: some RequestContext) async throws -> Todo? {
        try await repository.find(try context.parameters.require("id", as: UUID.self))
    }

    @Sendable func update(request: Request, context: some RequestContext) async throws -> Todo {
        let id = try context.parameters.require("id", as: UUID.self)
        let change = try await request.decode(as: Change.self, context: context)
        let todo = try await repository.change(id) { todo in
            todo.title = change.title ?? todo.title
            todo.isDone = change.isDone ?? todo.isDone
        }
        guard let todo else { throw HTTPError(.notFound, message: "no such todo") }
        return todo
    }

    @Sendable func delete(request: Request, context: some RequestContext) async throws -> HTTPResponse.Status {
        try await repository.remove(try context.parameters.require("id", as: UUID.self)) ? .ok : .notFound
    }
}
