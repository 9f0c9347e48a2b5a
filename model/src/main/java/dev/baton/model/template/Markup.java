package dev.baton.model.template;

/** A string marked safe: concatenated with another, it escapes that one. Otherwise a string. */
record Markup(String text) {
    static String escape(String text) {
        return text.replace("&", "&amp;")
                .replace(">", "&gt;")
                .replace("<", "&lt;")
                .replace("'", "&#39;")
                .replace("\"", "&#34;");
    }
}
