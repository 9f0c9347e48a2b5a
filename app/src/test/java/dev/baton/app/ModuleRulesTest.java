package dev.baton.app;

import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.Dependency;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Who may use whom: the table of {@code docs/architecture.md}. */
class ModuleRulesTest {
    private static final String ROOT = "dev.baton.";
    private static final Map<String, Set<String>> MAY_USE = Map.of(
            "protocol", Set.of(),
            "model", Set.of("protocol"),
            "tensor", Set.of("model", "protocol"),
            "trace", Set.of("protocol"),
            "engine", Set.of("tensor", "model", "protocol", "trace"),
            "serve", Set.of("engine", "protocol", "model", "tensor", "trace"),
            "lab", Set.of("protocol", "trace", "model"),
            "cuda", Set.of("tensor", "model", "protocol"),
            "app", Set.of("protocol", "model", "tensor", "cuda", "trace", "engine", "serve", "lab"));

    private static JavaClasses classes;

    @BeforeAll
    static void read() {
        classes = new ClassFileImporter()
                .withImportOption(new ImportOption.DoNotIncludeTests())
                .importPackages("dev.baton");
    }

    @Test
    void modulesUseOnlyWhatTheyMay() {
        Set<String> wrong = new TreeSet<>();
        for (JavaClass from : classes) {
            for (Dependency dependency : from.getDirectDependenciesFromSelf()) {
                String user = module(from);
                String used = module(dependency.getTargetClass());
                if (!used.isEmpty() && !used.equals(user) && !MAY_USE.get(user).contains(used)) {
                    wrong.add(from.getName() + " uses "
                            + dependency.getTargetClass().getName());
                }
            }
        }
        assertThat(wrong).isEmpty();
        assertThat(classes.stream().map(ModuleRulesTest::module).distinct())
                .containsExactlyInAnyOrderElementsOf(MAY_USE.keySet());
    }

    @Test
    void packagesOfAModuleFormNoCycle() {
        for (String module : new String[] {"model", "tensor", "trace", "serve"}) {
            slices().matching(ROOT + module + ".(*)..")
                    .should()
                    .beFreeOfCycles()
                    .check(classes);
        }
    }

    @Test
    void noPackageIsAHeapOfLeftovers() {
        assertThat(classes.stream().map(JavaClass::getPackageName).distinct())
                .noneMatch(name -> name.matches(".*\\.(impl|util|utils|common|misc|helper|helpers)(\\..*)?"));
    }

    private static String module(JavaClass type) {
        String name = type.getPackageName();
        if (name.equals("dev.baton")) {
            // What a Java program that embeds Baton sees.
            return "app";
        }
        return name.startsWith(ROOT) ? name.substring(ROOT.length()).split("\\.")[0] : "";
    }
}
