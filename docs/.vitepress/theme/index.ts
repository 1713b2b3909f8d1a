/** VitePress's own theme, with wide tables, code and pictures kept within the page. */
import theme from "vitepress/theme-without-fonts";
import "./style.css";

export default theme;
