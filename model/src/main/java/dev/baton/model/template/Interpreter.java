package dev.baton.model.template;

import dev.baton.model.template.Statement.Branch;
import dev.baton.model.template.Statement.Target;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import org.jspecify.annotations.Nullable;

/** Executes statements. One instance renders once. */
final class Interpreter {
    private enum Flow {
        ON,
        BREAK,
        CONTINUE
    }

    private final Evaluator evaluator;
    private final Map<String, Statement.Block> blocks;

    Interpreter(Globals globals, Map<String, Statement.Block> blocks) {
        this.evaluator = new Evaluator(globals);
        this.blocks = blocks;
    }

    /** The whole template over its variables. */
    String render(List<Statement> body, Map<String, @Nullable Object> variables) {
        Scope context = Scope.root(variables);
        context.set("self", new Blocks(blocks, this, context));
        return render(body, context);
    }

    Evaluator evaluator() {
        return evaluator;
    }

    String render(List<Statement> body, Scope scope) {
        StringBuilder out = new StringBuilder();
        run(body, scope, out);
        return out.toString();
    }

    private Flow run(List<Statement> body, Scope scope, StringBuilder out) {
        for (Statement statement : body) {
            Flow flow;
            try {
                flow = run(statement, scope, out);
            } catch (TemplateFault e) {
                throw e.at(statement.line());
            }
            if (flow != Flow.ON) {
                return flow;
            }
        }
        return Flow.ON;
    }

    private Flow run(Statement statement, Scope scope, StringBuilder out) {
        switch (statement) {
            case Statement.Data data -> out.append(data.text());
            case Statement.Print print -> out.append(PythonText.str(evaluator.evaluate(print.value(), scope)));
            case Statement.If branches -> {
                return runIf(branches, scope, out);
            }
            case Statement.For loop -> runFor(loop, evaluator.evaluate(loop.iterable(), scope), 0, scope, out);
            case Statement.Assign assign -> assign(assign.target(), evaluator.evaluate(assign.value(), scope), scope);
            case Statement.SetBlock block -> {
                Object text = render(block.body(), scope.inner());
                assign(block.target(), filtered(block.filter(), text, scope), scope);
            }
            case Statement.MacroDefinition macro ->
                scope.set(macro.signature().name(), new Macro(macro.signature(), macro.body(), scope, this));
            case Statement.CallBlock block -> {
                Macro caller = new Macro(block.signature(), block.body(), scope, this);
                out.append(PythonText.str(evaluator.call(block.call(), scope, caller)));
            }
            case Statement.FilterBlock block -> {
                Object text = render(block.body(), scope.inner());
                out.append(PythonText.str(filtered(block.filter(), text, scope)));
            }
            case Statement.With with -> {
                Scope inner = scope.inner();
                for (int i = 0; i < with.targets().size(); i++) {
                    assign(
                            with.targets().get(i),
                            evaluator.evaluate(with.values().get(i), scope),
                            inner);
                }
                return run(with.body(), inner, out);
            }
            case Statement.Block block -> out.append(render(block, block.scoped() ? scope : scope.context()));
            case Statement.Other other -> load(evaluator.evaluate(other.template(), scope), other.ignoring());
            case Statement.Break b -> {
                return Flow.BREAK;
            }
            case Statement.Continue c -> {
                return Flow.CONTINUE;
            }
        }
        return Flow.ON;
    }

    /** A block's text. */
    String render(Statement.Block block, Scope outer) {
        if (block.required()) {
            throw new TemplateFault("TemplateRuntimeError", "Required block '" + block.name() + "' not found");
        }
        Scope inner = outer.inner();
        inner.set("super", Undefined.hint("there is no parent block called '" + block.name() + "'."));
        return render(block.body(), inner);
    }

    /** A chat template is one file: there is nowhere to load another from. */
    private static void load(@Nullable Object name, boolean ignoring) {
        if (!(name instanceof List<?> names) || !names.isEmpty()) {
            throw TemplateFault.type("no loader for this environment specified");
        }
        if (!ignoring) {
            throw new TemplateFault("TemplatesNotFound", "Tried to select from an empty list of templates.");
        }
    }

    private @Nullable Object filtered(Expression.@Nullable Filter filter, Object text, Scope scope) {
        return filter == null ? text : evaluator.filterChain(filter, text, scope);
    }

    private Flow runIf(Statement.If statement, Scope scope, StringBuilder out) {
        for (Branch branch : statement.branches()) {
            if (branch.test() == null || Values.truth(evaluator.evaluate(branch.test(), scope))) {
                return run(branch.body(), scope, out);
            }
        }
        return Flow.ON;
    }

    private void runFor(Statement.For loop, @Nullable Object iterable, long depth0, Scope scope, StringBuilder out) {
        Iterator<@Nullable Object> items = Values.iterate(iterable);
        Object counted = iterable;
        if (loop.test() != null) {
            items = matching(items, loop, scope);
            counted = null;
        }
        LoopContext context = new LoopContext(
                counted,
                items,
                depth0,
                !loop.recursive()
                        ? null
                        : inner -> {
                            StringBuilder text = new StringBuilder();
                            runFor(loop, inner, depth0 + 1, scope, text);
                            return text.toString();
                        });
        boolean entered = false;
        while (context.hasNext()) {
            entered = true;
            Scope inner = scope.inner();
            inner.set("loop", context);
            assign(loop.target(), context.next(), inner);
            if (run(loop.body(), inner, out) == Flow.BREAK) {
                break;
            }
        }
        if (!entered) {
            run(loop.otherwise(), scope.inner(), out);
        }
    }

    /** The items for which the loop's own condition holds. */
    private Iterator<@Nullable Object> matching(Iterator<@Nullable Object> items, Statement.For loop, Scope scope) {
        return new Iterator<>() {
            private boolean found;
            private @Nullable Object item;

            @Override
            public boolean hasNext() {
                while (!found && items.hasNext()) {
                    item = items.next();
                    Scope inner = scope.inner();
                    assign(loop.target(), item, inner);
                    found = loop.test() == null || Values.truth(evaluator.evaluate(loop.test(), inner));
                }
                return found;
            }

            @Override
            public @Nullable Object next() {
                if (!hasNext()) {
                    throw new NoSuchElementException();
                }
                found = false;
                return item;
            }
        };
    }

    private void assign(Target target, @Nullable Object value, Scope scope) {
        switch (target) {
            case Target.Variable variable -> scope.set(variable.name(), value);
            case Target.NamespaceAttribute attribute -> {
                Object namespace = evaluator.variable(attribute.namespace(), scope);
                if (!(namespace instanceof Namespace found)) {
                    throw new TemplateFault("TemplateRuntimeError", "cannot assign attribute on non-namespace object");
                }
                found.set(attribute.attribute(), value);
            }
            case Target.Several several -> {
                if (!Values.iterable(value)) {
                    throw TemplateFault.type("cannot unpack non-iterable " + Values.typeName(value) + " object");
                }
                List<@Nullable Object> values = Values.list(value);
                int expected = several.targets().size();
                if (values.size() > expected) {
                    throw TemplateFault.value("too many values to unpack (expected " + expected + ")");
                }
                if (values.size() < expected) {
                    throw TemplateFault.value(
                            "not enough values to unpack (expected " + expected + ", got " + values.size() + ")");
                }
                for (int i = 0; i < expected; i++) {
                    assign(several.targets().get(i), values.get(i), scope);
                }
            }
        }
    }
}
