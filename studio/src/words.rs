//! The window's words in its languages. The English text is the key.

use crate::settings::Language;

/// Each English text with its Chinese one.
const CHINESE: &[(&str, &str)] = &[
    ("Open", "打开"),
    ("Network", "网络"),
    ("Train", "训练"),
    ("Look inside", "观察内部"),
    ("Judge", "评估"),
    ("Pause", "暂停"),
    ("Resume", "继续"),
    ("Step", "单步"),
    ("Stop", "停止"),
    ("Save", "保存"),
    ("Models that come with the program", "自带模型"),
    ("Recent", "最近打开"),
    ("Nothing was opened yet.", "尚未打开任何文件。"),
    (
        "A spec or a run folder: type its path, or drop it on this window",
        "规格文件或运行文件夹：输入路径，或拖到此窗口",
    ),
    ("Light", "浅色"),
    ("Dark", "深色"),
    ("parameters", "参数"),
    ("FLOPs a batch", "每批浮点运算"),
    ("memory", "内存"),
    ("batch", "批大小"),
    ("weights", "权重"),
    ("gradients", "梯度"),
    ("optimizer", "优化器"),
    ("activations", "激活"),
    ("workspace", "工作区"),
    ("input", "输入"),
    ("The spec is sound.", "规格正确。"),
    ("Reading …", "读取中 …"),
    ("mistakes", "处错误"),
    ("changed", "已修改"),
    ("Preparing data and adapter …", "正在准备数据和适配器 …"),
    ("Open a network first.", "请先打开一个网络。"),
    ("Ready", "就绪"),
    ("Training", "训练中"),
    ("Resting", "已暂停"),
    ("Finished", "已完成"),
    ("loss", "损失"),
    ("each step", "每步"),
    ("smoothed", "平滑"),
    ("training", "训练集"),
    ("validation", "验证集"),
    ("test", "测试集"),
    ("step", "步"),
    ("epoch", "轮"),
    ("samples a second", "样本/秒"),
    ("time left", "剩余时间"),
    ("learning rate", "学习率"),
    ("samples", "样本"),
    ("adapter", "适配器"),
    ("run folder", "运行文件夹"),
    ("written with the first step", "第一步时写入"),
    ("last checkpoint", "最近检查点"),
    ("Press Train to begin.", "按“训练”开始。"),
    ("Curves appear with the first steps.", "最初几步之后将出现曲线。"),
    ("Set", "设定"),
    (
        "The spec has changed since; Train takes the new one and starts a new run.",
        "规格已修改；训练将采用新规格并开始新的运行。",
    ),
    ("layer", "层"),
    ("Draw", "手绘"),
    ("Clear", "清除"),
    ("From the data", "来自数据"),
    ("Draw a digit with the mouse", "用鼠标画一个数字"),
    ("The network says", "网络判断"),
    ("Feature maps", "特征图"),
    ("Filters", "卷积核"),
    ("This layer has no weights.", "该层没有权重。"),
    ("after step", "步数"),
    ("The layer is too wide to draw.", "该层过宽，无法绘制。"),
    ("no.", "编号"),
    ("Judge the samples", "评估样本"),
    ("Not judged yet.", "尚未评估。"),
    (
        "Rows are the truth, columns what the network says. Click a circle to see the pictures behind it.",
        "行为真实类别，列为网络判断。点击圆圈查看对应图片。",
    ),
    ("Worst mistakes", "最严重的错误"),
    ("says", "判断为"),
    ("is", "实为"),
    ("No mistakes here.", "没有错误。"),
    ("No pictures: this is a table.", "这是表格数据，没有图片。"),
    (
        "Training goes on. Finish the step, write a checkpoint and close?",
        "训练正在进行。完成当前步、写入检查点并关闭？",
    ),
    ("Close", "关闭"),
    ("Go on training", "继续训练"),
    ("Closing …", "正在关闭 …"),
    ("The spec is not saved. Close all the same?", "规格尚未保存，仍要关闭吗？"),
    ("Stay", "留下"),
    ("Dismiss", "知道了"),
    ("Saved", "已保存"),
    ("Data that lies beside the spec is searched from the working folder.", "与规格同处的数据将从工作文件夹查找。"),
    ("Data", "数据"),
    ("Keep", "保存结果"),
    ("Counting …", "正在统计 …"),
    ("plain", "原样"),
    ("as training sees them", "训练所见"),
    ("target", "目标"),
    ("Pixels of each class", "各类像素"),
    ("Objects of each class", "各类目标数"),
    ("Samples of each class", "各类样本数"),
    ("A click on a class shows its samples only.", "点击某一类只显示该类样本。"),
    ("Nothing was left out.", "没有样本被跳过。"),
    ("Left out, and notes", "被跳过的文件与提示"),
    ("No samples of this class here.", "这里没有该类样本。"),
    ("Some pictures have a dark ground, others a light one:", "部分图片为深色背景，部分为浅色背景："),
    (
        "The ground is light where that of the training is dark, or the other way round: invert the pictures.",
        "背景明暗与训练集相反：请反转图片。",
    ),
    ("Small pictures are enlarged, which adds no detail:", "图片小于输入，放大不会增加细节："),
    ("Pictures of another shape than the input are stretched or padded:", "图片长宽比与输入不同，将被拉伸或填充："),
    ("Classes without a sample here:", "此部分中没有样本的类别："),
    ("Classes with fewer than five:", "少于五个的类别："),
    ("Classes are uneven; `data.weighted` would draw them alike:", "类别不均衡；`data.weighted` 可均匀抽取："),
    ("The run folder is made with the first step: train first.", "运行文件夹在第一步时创建：请先训练。"),
    ("Checkpoint now", "立即写入检查点"),
    ("ONNX, for other programs", "ONNX（供其他程序使用）"),
    ("Weights for PyTorch", "PyTorch 权重"),
    ("Weights, as Pumice names them", "Pumice 命名的权重"),
    ("Report, a page for a browser", "报告（浏览器页面）"),
    ("Pictures: filters, feature maps, Grad-CAM, saliency", "图片：卷积核、特征图、Grad-CAM、显著图"),
    ("Writing …", "正在写入 …"),
    ("Written", "已写入"),
    ("Copy the path", "复制路径"),
    ("Each class", "各类指标"),
    ("COCO's measures", "COCO 指标"),
    ("true", "真实值"),
    ("predicted", "预测值"),
    ("without error", "无误差"),
    ("residual: predicted less true", "残差：预测值减真实值"),
    ("residual", "残差"),
    ("recall", "召回率"),
    ("precision", "精确率"),
    ("Average precision of each class", "各类平均精确率"),
    (
        "By the area below the curve, at an overlap of 0.5; objects in brackets.",
        "按曲线下面积计，重叠度 0.5；括号内为目标数。",
    ),
    ("The worst pictures", "最差的图片"),
    (
        "Dashed boxes are the truth; boxes in colour are what the network finds, with how sure it is.",
        "虚线框为真实目标；彩色框为网络所找到的目标及其把握。",
    ),
    ("what the network says", "网络判断"),
    ("the truth", "真实标注"),
    ("Wrong pixels are hatched.", "错误像素以斜线标出。"),
    ("Pictures", "图片"),
    ("planned once its data is there", "数据就绪后才能计算"),
    ("fits", "放得下"),
    ("too large", "过大"),
    ("FLOPs of a sample, memory of a step; adapter:", "每个样本的浮点运算，每步的内存；适配器："),
    ("They train as they stand", "可直接训练"),
    ("They want data of your own", "需要自备数据"),
    ("New from my own data", "用我自己的数据新建"),
    (
        "A folder with a folder of pictures for each class, one with images and masks, or a table (CSV). What is found is written as a spec.",
        "每类一个图片子文件夹的文件夹、含 images 与 masks 的文件夹，或 CSV 表格。将根据所发现的内容写出规格。",
    ),
    ("my folder of pictures", "我的图片文件夹"),
    ("a new folder for the spec", "存放规格的新文件夹"),
    ("Look and write", "查看并写出"),
    ("Found", "发现"),
];

/// A text in a language. One without a translation stays English.
pub fn say(language: Language, english: &'static str) -> &'static str {
    match language {
        Language::English => english,
        Language::Chinese => CHINESE.iter().find(|(own, _)| *own == english).map_or(english, |(_, chinese)| chinese),
    }
}

/// A whole number with its thousands apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let apart = |(i, c): (usize, char)| {
        let gap = i > 0 && (digits.len() - i).is_multiple_of(3);
        gap.then_some('\u{2009}').into_iter().chain([c])
    };
    digits.chars().enumerate().flat_map(apart).collect()
}

/// A large number with three digits and a unit: 1.23 M.
pub fn short(number: f64) -> String {
    let units = [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    match units.into_iter().find(|(size, _)| number >= *size) {
        Some((size, unit)) => format!("{:.3} {unit}", number / size).replacen("00 ", " ", 1),
        None => format!("{number:.0}"),
    }
}

/// Bytes in binary units.
pub fn bytes(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.into_iter().find(|(power, _)| bytes >= 1 << power) {
        Some((power, unit)) => format!("{:.1} {unit}", bytes as f64 / f64::from(1u32 << power)),
        None => format!("{bytes} B"),
    }
}

/// Seconds as hours, minutes and seconds.
pub fn clock(seconds: f64) -> String {
    let all = seconds.max(0.0).round() as u64;
    let (h, m, s) = (all / 3600, all / 60 % 60, all % 60);
    if h > 0 { format!("{h}:{m:02}:{s:02}") } else { format!("{m}:{s:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every text that the sources give to [`say`] in place has a translation.
    #[test]
    fn every_text_is_there_in_chinese() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut missing = Vec::new();
        let mut used = 0;
        for entry in std::fs::read_dir(folder).expect("the sources") {
            let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("a source");
            // A call that is broken over lines counts as well.
            let text = text.split_whitespace().collect::<Vec<&str>>().join(" ");
            for part in text.split(concat!("language", ", \"")).skip(1) {
                let english = part.split('"').next().expect("a text");
                used += 1;
                if !CHINESE.iter().any(|(own, _)| *own == english) {
                    missing.push(english.to_string());
                }
            }
        }
        assert!(used > 30, "{used}");
        assert_eq!(missing, Vec::<String>::new());
    }

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(grouped(61706), "61\u{2009}706");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(clock(3661.4), "1:01:01");
        assert_eq!(clock(59.0), "0:59");
        assert_eq!(short(999.0), "999");
        assert_eq!(short(1_234_000.0), "1.234 M");
    }
}
