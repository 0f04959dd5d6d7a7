"""What commands say, in Japanese: the gate's reasons, a night's progress, and errors part by part."""

from __future__ import annotations

_COUNTS = "won {won}, lost {lost} of {num_images} images, p = {p}"
_COUNTED = "{num_images} 枚で {won} 勝 {lost} 敗、p = {p}"

DECISIONS: dict[str, str] = {
    "promoted: {why}": "交代:{why:ja}",
    "kept: {why}": "続投:{why:ja}",
    "nothing new: {why}": "変わりなし:{why:ja}",
    "no labelled images yet": "ラベルの付いた画像がまだありません",
    "no image or setting changed since last night": "昨夜から画像も設定も変わっていません",
    "{model} was rolled back by hand; only a person can crown it again": (
        "{model} は人の手で戻されました。もう一度選べるのは人だけです"
    ),
    f"better on images neither was trained on ({_COUNTS})": f"どちらも学習していない画像をよりよく読みました({_COUNTED})",
    f"worse ({_COUNTS})": f"挑戦モデルの方が劣ります({_COUNTED})",
    f"not enough evidence ({_COUNTS})": f"証拠が足りません({_COUNTED})",
    f"not shown to be worse, and promoting when unsure is set ({_COUNTS})": (
        f"劣るとは言えず、「迷ったら交代」の設定です({_COUNTED})"
    ),
    f"not shown to be worse, and learned from {{now}} images instead of {{before}} ({_COUNTS})": (
        f"劣るとは言えず、{{before}} 枚ではなく {{now}} 枚から学びました({_COUNTED})"
    ),
    f"first to read these labels ({_COUNTS})": f"この字を読める最初のモデルです({_COUNTED})",
    f"loses regression image {{path}}, read as {{read_as}} ({_COUNTS})": (
        f"誤読集の {{path}} を {{read_as}} と読み違えます({_COUNTED})"
    ),
    f"loses regression image {{path}}, read as {{read_as}} and {{num_more}} more ({_COUNTS})": (
        f"誤読集の {{path}} を {{read_as}} と読み違えます。ほか {{num_more}} 枚({_COUNTED})"
    ),
}

PROGRESS: dict[str, str] = {
    "sync: {what}": "同期:{what:ja}",
    "prepare: {what}": "前処理:{what:ja}",
    "freeze: {what}": "凍結:{what:ja}",
    "train: {what}": "学習:{what:ja}",
    "examine: {what}": "試験:{what:ja}",
    "decide: {what}": "判定:{what:ja}",
    "inbox: {what}": "受信箱:{what:ja}",
    "report: {what}": "レポート:{what}",
    "{seen:n} files, nothing new": "{seen} ファイル、変わりなし",
    "{seen:n} files, {changes}": "{seen} ファイル、{changes:list}",
    "{number:n} added": "追加 {number}",
    "{number:n} changed": "変更 {number}",
    "{number:n} moved": "移動 {number}",
    "{number:n} relabelled": "ラベル変更 {number}",
    "{number:n} gone": "消失 {number}",
    "{number:n} back": "復帰 {number}",
    "{number:n} rejected": "不採用 {number}",
    "{prepared:n} prepared, {rejected:n} rejected": "{prepared} 枚を用意、{rejected} 枚は使えません",
    "nothing is labelled yet": "ラベルの付いた画像がまだありません",
    "nothing new": "変わりなし",
    "{train:n} to train on, {test:n} held out, {misread:n} once misread ({labels:n} labels)": (
        "学習 {train} 枚、取り分け {test} 枚、誤読集 {misread} 枚({labels} ラベル)"
    ),
    "{model} was trained before; going on with it": "{model} は学習済みなので、その先へ進みます",
    "examine: {champion} against {challenger}": "試験:{champion} 対 {challenger}",
    "{number:n} read, {unsure:n} of them unsure": "{number} 枚を読み、自信なしは {unsure} 枚",
    "{recipe}, fold {fold}, epoch {epoch}: loss {loss}, accuracy {accuracy}, held out {held_out}": (
        "{recipe}、分割 {fold}、エポック {epoch}:損失 {loss}、正解率 {accuracy}、取り分け {held_out}"
    ),
    "{recipe}, refit, epoch {epoch}: loss {loss}, accuracy {accuracy}": (
        "{recipe}、仕上げ、エポック {epoch}:損失 {loss}、正解率 {accuracy}"
    ),
    "no source named: making a sample folder of real digits in {folder}": (
        "画像の場所が指定されていないので、実在の人の数字の見本を {folder} に作ります"
    ),
    "{file}: cannot be read: {why}": "{file}:読めません({why:ja})",
    "{file}: {label}  ({share}, sure)": "{file}:{label}({share}、自信あり)",
    "{file}: {label}  ({share}, unsure)": "{file}:{label}({share}、自信なし)",
    "{model} is champion again: no reason given": "{model} に戻しました",
    "{model} is champion again: {why}": "{model} に戻しました:{why}",
    "{model} is champion by hand: {why}": "{model} を人の手で選びました:{why}",
    "stopped; the next run goes on from here": "止めました。次はここから続きます",
    "notices set up: {kinds}": "お知らせを設定しました:{kinds}",
    "no notices any more": "お知らせをやめました",
    "{file}: print it at any size, fill it in, and put a photo of it into sheets/": (
        "{file}:好きな大きさで印刷し、書き込んで、写真を sheets/ に入れてください"
    ),
}

ERRORS: dict[str, str] = {
    "settings error": "設定の誤り",
    "source error": "画像の場所の誤り",
    "credentials error": "許可の誤り",
    "mass deletion error": "大量の消失",
    "store error": "保管庫の誤り",
    "store version error": "保管庫の版の誤り",
    "store busy error": "保管庫は使用中",
    "image error": "画像の誤り",
    "dataset error": "データの誤り",
    "model error": "モデルの誤り",
    "normaliser mismatch error": "前処理の版の違い",
    "training error": "学習の誤り",
    "tenarai error": "誤り",
    # what happened
    "there is no store at {address}": "{address} に保管庫がありません",
    "another night works on the store {address}": "保管庫 {address} では別の夜が作業中です",
    "the store {address} was written by a newer version of Tenarai": (
        "保管庫 {address} は新しい版の Tenarai が書いたものです"
    ),
    "{address} is no Tenarai store": "{address} は Tenarai の保管庫ではありません",
    "{file} cannot be written to the store {address}": "保管庫 {address} に {file} を書けません",
    "{file} in the store {address} is damaged": "保管庫 {address} の {file} が壊れています",
    "the setting {name} is off": "設定 {name} に誤りがあります",
    "{name} is no time zone": "{name} という時間帯はありません",
    "the source {source} names no folder": "{source} はフォルダーを指していません",
    "the folder {folder} cannot be read": "フォルダー {folder} を読めません",
    "the folder {folder} holds no files to work on": "フォルダー {folder} に使えるファイルがありません",
    "{number} of {total} files of {source} vanished since the last night; the sync stopped and changed nothing": (
        "{source} の {total} 件のうち {number} 件が昨夜から消えました。同期を止め、何も変えていません"
    ),
    "there is nothing to tell apart": "見分けるものがありません",
    "there are too few images to learn from": "学習するには画像が少なすぎます",
    "there is no model {model} in the store {address}": "保管庫 {address} にモデル {model} はありません",
    "there is no model {model}": "モデル {model} はありません",
    "the model {model} is damaged and was not loaded": "モデル {model} は壊れているので読み込みませんでした",
    "there is no earlier champion: the base model has been reading all along": (
        "前のモデルはありません。ずっと基本モデルが読んでいます"
    ),
    "{model} cannot be put back": "{model} には戻せません",
    "there is no champion before this one": "これより前のモデルはありません",
    "no GPU is visible to the training": "学習から GPU が見えません",
    "port {port} is taken": "ポート {port} は使われています",
    "the Prefect server did not start": "Prefect サーバーが起動しませんでした",
    "it is not clear how to tell you": "どう知らせればよいかわかりません",
    "an e-mail needs a sender and a key": "メールには差出人と鍵が要ります",
    # how to mend it
    "run `tenarai nightly` once, or check --store": "`tenarai nightly` を一度実行するか、--store を確かめてください",
    "wait for it to end, or give this one another --store": "終わるのを待つか、別の --store を指定してください",
    "upgrade Tenarai on this machine, or use another --store": (
        "このコンピューターの Tenarai を更新するか、別の --store を使ってください"
    ),
    "restore it from a backup": "控えから復元してください",
    "free space on the disk, or make the folder writable; nothing that was there before is lost": (
        "ディスクの空きを作るか、フォルダーに書けるようにしてください。前からあったものは失われていません"
    ),
    "check the path and its permissions; if it lies on a disk or a share, mount it": (
        "パスと権限を確かめてください。ディスクや共有の上なら接続してください"
    ),
    "set {name} anew": "{name} を設定し直してください",
    "set {name} anew, or leave it out for this machine's own": (
        "{name} を設定し直すか、消してこのコンピューターの時計を使ってください"
    ),
    "set TENARAI_SOURCE or --source": "TENARAI_SOURCE か --source を指定してください",
    "file some images of another character under its own label folder": (
        "別の字の画像を、その字のフォルダーに入れてください"
    ),
    "file more images under digits/<label>/; ten a label make a good start": (
        "digits/<ラベル>/ に画像を足してください。1 ラベル 10 枚がよい始まりです"
    ),
    "check the id, or restore the store from a backup": "id を確かめるか、保管庫を控えから復元してください",
    "restore it from a backup, or put an earlier champion back with `tenarai rollback`": (
        "控えから復元するか、`tenarai rollback` で前のモデルに戻してください"
    ),
    "stop what listens there, or give another --port": "そこで動いているものを止めるか、別の --port を指定してください",
    "give one, or --off for no notices": "どれか一つを指定するか、--off でお知らせをやめてください",
    # what was expected
    "an id that `tenarai models` lists": "`tenarai models` に出る id",
    "a free port": "空いているポート",
    "a name such as Asia/Tokyo or Europe/Berlin": "Asia/Tokyo や Europe/Berlin のような名前",
    "a folder with images in digits/<label>/, misread/<label>/ or inbox/": (
        "digits/<ラベル>/、misread/<ラベル>/、inbox/ に画像のあるフォルダー"
    ),
    "at least {number} usable labelled images": "使えるラベル付き画像が {number} 枚以上",
    "at least one GPU, since device is gpu": "device が gpu なので GPU が 1 台以上",
    "one of --slack URL, --webhook URL and --email ADDRESS": "--slack URL、--webhook URL、--email ADDRESS のどれか一つ",
}

MESSAGES: dict[str, str] = DECISIONS | PROGRESS | ERRORS
