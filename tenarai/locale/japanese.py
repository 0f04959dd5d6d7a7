"""English sentences and their Japanese: `{name}` marks what varies, `{name:n}` a number.

In the Japanese, `{name:ja}` marks a sentence within the sentence, and `{name:list}` several, between commas.

What varies may stand in another order in Japanese, and may be left out.
"""

from __future__ import annotations

from tenarai.locale.messages import MESSAGES

REJECTIONS: dict[str, str] = {
    # what a file is
    "the file is empty": "ファイルが空です",
    "it is an empty file (0 bytes)": "ファイルが空です(0 バイト)",
    "the file is too large": "ファイルが大きすぎます",
    "it is too large: {size} bytes, more than {limit}": "大きすぎます({size} バイト。上限は {limit} バイト)",
    "it cannot be read: {why}": "読み込めません({why})",
    "it is not a picture that can be read": "読み取れる画像ではありません",
    "the picture has too many pixels": "画像の画素数が多すぎます",
    "the picture has no pixels": "画像に画素がありません",
    "the picture is truncated: the upload may have broken off": "画像が途中で切れています。アップロードが中断した可能性があります",
    "the picture needs more memory than there is": "画像を開くにはメモリーが足りません",
    "the picture is damaged ({kind})": "画像が壊れています({kind})",
    "the picture is too small to hold a character": "画像が小さすぎて字が入りません",
    "the page is blank: no ink was found": "白紙です。字が見つかりません",
    # where it lies
    "it is a link that leads out of the folder: put a copy of the file in its place": (
        "フォルダーの外を指すリンクです。ファイルの写しを置いてください"
    ),
    "it is a link to a folder: put the files themselves in its place": (
        "フォルダーへのリンクです。ファイルそのものを置いてください"
    ),
    "it is a link that leads nowhere": "リンク先がありません",
    "it lies outside of the folders that are read: move it into digits/<label>/, misread/<label>/ or inbox/": (
        "読み込むフォルダーの外にあります。digits/<ラベル>/、misread/<ラベル>/、inbox/ のどれかへ移してください"
    ),
    "it lies in {role}/ itself: move it into a folder named after its label": (
        "{role}/ の直下にあります。ラベルを名前にしたフォルダーへ移してください"
    ),
    "the name of its label folder is empty: rename the folder to the character in it": (
        "ラベルのフォルダー名が空です。書いてある字の名前にしてください"
    ),
    "the name of its label folder has {number} characters, more than {limit}: give the folder a shorter name": (
        "ラベルのフォルダー名が {number} 文字あります(上限 {limit} 文字)。短い名前にしてください"
    ),
    "the name of its label folder has characters that cannot be printed: rename the folder": (
        "ラベルのフォルダー名に表示できない文字があります。名前を変えてください"
    ),
    "its name says it was misread as {read_as}, its folder that {label} is what was written: correct one of them": (
        "ファイル名では {read_as} と誤読されたはずですが、フォルダーでは書いた字が {label} です。どちらかを直してください"
    ),
    "its name says that {named} was written, its folder says {label}: correct one of them": (
        "ファイル名では書いた字が {named}、フォルダーでは {label} です。どちらかを直してください"
    ),
    # what Drive says of it
    "it is a shortcut to a folder: move the folder itself here, or put shortcuts to its files": (
        "フォルダーへのショートカットです。フォルダーそのものを移すか、ファイルへのショートカットを置いてください"
    ),
    "it is a shortcut to a file that is in the trash, deleted or not shared: share it, or put a copy here": (
        "ゴミ箱にある、削除された、または共有されていないファイルへのショートカットです。共有するか、写しを置いてください"
    ),
    "it is a Google {kind}, not a picture: download it as a picture and put that here": (
        "画像ではなく Google の {kind} です。画像として書き出して置いてください"
    ),
    "its owner does not allow it to be downloaded: allow it in Share, Settings": (
        "所有者がダウンロードを許可していません。「共有」の設定で許可してください"
    ),
    "it does not arrive as Google Drive lists it: upload it again": (
        "Google ドライブの記録どおりに届きません。アップロードし直してください"
    ),
    "Google takes it for malware or spam and does not hand it out": (
        "Google が不正なファイルと見なしていて、渡してくれません"
    ),
    "it has no bytes that could be downloaded: put a picture in its place": (
        "ダウンロードできる中身がありません。画像に置き換えてください"
    ),
    "the same picture lies under {number} labels ({labels}): keep the right one": (
        "同じ画像が {number} 個のラベル({labels})にあります。正しい方だけを残してください"
    ),
}

NOTES: dict[str, str] = {
    "transfer, since {per_label} images a label are too few to learn from scratch": (
        "1 ラベルあたり {per_label} 枚では一から学ぶには少ないので、基本モデルから学習(transfer)"
    ),
    "cross-validated on {num_images} images: transfer {ours}, cnn {theirs}": (
        "{num_images} 枚での交差検証:transfer {ours}、cnn {theirs}"
    ),
    "best epoch of each fold: {epochs} (spread {least}–{most}); refitted on all {num_images} for {chosen}": (
        "各分割で最良だったエポック:{epochs}({least}〜{most})。全 {num_images} 枚で {chosen} エポック学習し直し"
    ),
    "{num_images} images for {num_labels} labels are too few to hold some out and find the number of epochs: "
    "{chosen}, as measured elsewhere": (
        "{num_labels} 個のラベルに {num_images} 枚では少なく、取り分けてエポック数を探せないので、"
        "他で測った {chosen} エポック"
    ),
    "sure of {sure} of {num_images} held-out images, {wrong} of these wrong; the rest is called unsure": (
        "取り分けた {num_images} 枚のうち自信があるのは {sure} 枚、そのうち誤りは {wrong} 枚。残りは「自信なし」とします"
    ),
    "too few held-out readings ({number}) to find a threshold for unsure": (
        "取り分けて読んだ画像が {number} 枚と少なく、「自信なし」の境目は決められません"
    ),
    "{number} images are not counted: a model that was rolled back was crowned on them, "
    "and the same evidence does not count twice": (
        "{number} 枚は数えません。人の手で戻されたモデルが選ばれたときの証拠で、同じ証拠は二度使いません"
    ),
    "compared with the base model instead of the champion: {why}": "現モデルの代わりに基本モデルと比較:{why:ja}",
    "the model {model} was trained with another normaliser": "モデル {model} は別の版の前処理で学習されています",
}

JAPANESE: dict[str, str] = MESSAGES | REJECTIONS | NOTES
