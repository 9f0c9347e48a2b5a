package dev.baton.model.tokenizer;

import java.util.Random;

/** Seeded text with what tokenizers stumble over: contractions, digits, runs of space, scripts, marks, emoji, tokens. */
final class RandomText {
    private static final String[] PIECES = {
        "the ",
        "quick",
        " brown",
        "'s",
        "'S",
        "'ll",
        "'LL",
        "'t",
        "’s",
        " I'm",
        "don't",
        "\n",
        "\r\n",
        "\t",
        " ",
        "  ",
        "   ",
        "    ",
        "\n\n",
        " \n ",
        "\u00A0",
        "\u3000",
        "\u2028",
        "\u0085",
        "\u200B",
        "\u200D",
        "1",
        "12",
        "1234",
        "３",
        "٤٥",
        "Ⅷ",
        "½",
        "²",
        "été",
        "e\u0301",
        "a\u0323\u0307",
        "Ångström",
        "\u212B",
        "Straße",
        "ſ",
        "\u212A",
        "ﬁ",
        "İ",
        "дом",
        "Привет",
        "日本語",
        "漢字かな",
        "カタカナ",
        "한국어",
        "\u1112\u1161\u11AB",
        "עברית",
        "العربية",
        "हिन्दी",
        "ไทย",
        "🙂",
        "👩‍👩‍👧",
        "🇩🇪",
        "🦙",
        "𝔘",
        "!",
        "!!",
        "...",
        "?!",
        "$",
        "€",
        "±",
        "—",
        "«",
        "_",
        "__init__",
        "(x)",
        "[0]",
        "{\"a\":",
        "</p>",
        "http://a.b/c?d=e",
        "#tag",
        "@me",
        "a/b",
        "\\n",
        "<|begin|>",
        "<|end|>",
        "<|end|><|end|>",
        "<tool_call>",
        " <|pad ",
        "<|pad",
        "<｜User｜>",
        "unit",
        " unit ",
        "units",
        "<|",
        "|>",
        "<",
        "if (a == b) {\n    return;\n}",
        "\u0000",
        "\u007F",
        "\uFEFF",
        "\uFFFD",
        "\uE000",
        "x\uD83D",
        "aaaaaaaaaaaaaaaa",
        "Lorem ipsum dolor sit amet",
        "0x1F",
        "3.14",
        "1,000",
        "a\u00ADb",
    };

    private RandomText() {}

    static String next(Random random, int pieces) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < pieces; i++) {
            int kind = random.nextInt(20);
            if (kind == 0) {
                text.appendCodePoint(codePoint(random));
            } else if (kind == 1) {
                text.append(" ".repeat(random.nextInt(6))).append((char) ('a' + random.nextInt(26)));
            } else if (kind == 2) {
                text.append(random.nextInt(1_000_000));
            } else {
                text.append(PIECES[random.nextInt(PIECES.length)]);
            }
        }
        return text.toString();
    }

    /** An assigned scalar value of the first two planes. */
    private static int codePoint(Random random) {
        while (true) {
            int codePoint = random.nextInt(4) == 0 ? random.nextInt(0x3000) : random.nextInt(0x20000);
            if (Character.isDefined(codePoint) && !(codePoint >= 0xD800 && codePoint <= 0xDFFF)) {
                return codePoint;
            }
        }
    }
}
